//! The outcome as Markdown, on standard output or between the markers of a document, where a
//! picture stands above it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clipkeep::workload::{Outcome, Track, machine, ratio};
use rustix::fs::Access;

use crate::run::{Measured, WINDOW_CLIPS};
use crate::spread::short;
use crate::{FEATURES, OWN, Options};

const BEGIN: &str = "<!-- rivals:begin -->";
const END: &str = "<!-- rivals:end -->";
/// The picture's file.
const CHART: &str = "rivals.svg";

pub fn tables(options: &Options, measured: &Measured) -> Outcome<String> {
    let mut text = String::new();
    let machine = machine(&options.dir)?;
    let setting = format!(
        "{} cores ({}), {} disk, {}; {} rounds of {} clips of 2 MB for each, in turns. {}",
        machine.cores,
        machine.processor,
        machine.disk,
        machine.file_system,
        options.rounds,
        options.clips,
        built_in(),
    );
    writeln!(text, "{}\n", filled(&setting, ""))?;
    recording(measured, &mut text)?;
    beside_expiry(measured, &mut text)?;
    using(options, measured, &mut text)?;
    writeln!(text, "Settings:\n")?;
    for (name, settings) in &measured.settings {
        let item = format!("- {name}: {settings}.");
        writeln!(text, "{}", filled(&item, "  "))?;
    }
    Ok(text)
}

/// Which of the rivals that must be asked for were there.
fn built_in() -> String {
    let named = |wanted: bool| -> Vec<&str> {
        FEATURES.iter().filter(|(_, is)| *is == wanted).map(|(name, _)| *name).collect()
    };
    match (named(true).join(", "), named(false).join(", ")) {
        (built, missing) if built.is_empty() => format!("Not built in: {missing}."),
        (built, missing) if missing.is_empty() => format!("Built in: {built}."),
        (built, missing) => format!("Built in: {built}; not: {missing}."),
    }
}

/// `sentence` in lines as long as those of the document, later ones behind `indent`.
fn filled(sentence: &str, indent: &str) -> String {
    const COLUMNS: usize = 100;
    let (mut lines, mut line) = (String::new(), String::new());
    for word in sentence.split(' ') {
        if !line.is_empty() && line.len() + 1 + word.len() > COLUMNS {
            lines = lines + &line + "\n";
            line = indent.to_owned() + word;
        } else {
            line = if line.is_empty() { word.to_owned() } else { line + " " + word };
        }
    }
    lines + &line
}

fn recording(measured: &Measured, text: &mut String) -> Outcome<()> {
    writeln!(
        text,
        "| keeper | a commit each: MB/s | of the limit | p99 | 16 a commit: MB/s | of the limit | \
         p99 | CPU s/GiB | written/byte |\n|---|---|---|---|---|---|---|---|---|"
    )?;
    let limits = [&measured.each, &measured.grouped].map(|tracks| limit_of(tracks));
    let [Some(each_limit), Some(grouped_limit)] = limits else { return Err("no limit".into()) };
    for (each, grouped) in measured.each.iter().zip(&measured.grouped) {
        writeln!(
            text,
            "| {} | {:.0} | {} | {} | {:.0} | {} | {} | {:.2} | {:.3} |",
            each.name,
            each.bytes_per_second() / 1e6,
            against(each, each_limit),
            short(each.latencies.percentile(99.0)),
            grouped.bytes_per_second() / 1e6,
            against(grouped, grouped_limit),
            short(grouped.latencies.percentile(99.0)),
            grouped.cpu_seconds_per_gib(),
            grouped.written_per_byte().unwrap_or_default(),
        )?;
    }
    Ok(writeln!(text)?)
}

fn beside_expiry(measured: &Measured, text: &mut String) -> Outcome<()> {
    writeln!(
        text,
        "| keeper | beside expiry, a commit each: MB/s | of the limit | p99 | CPU s/GiB | on \
         disk / kept |\n|---|---|---|---|---|---|"
    )?;
    let limit = limit_of(&measured.steady).ok_or("no limit")?;
    for (track, space) in measured.steady.iter().zip(&measured.steady_space) {
        writeln!(
            text,
            "| {} | {:.0} | {} | {} | {:.2} | {space:.2} |",
            track.name,
            track.bytes_per_second() / 1e6,
            against(track, limit),
            short(track.latencies.percentile(99.0)),
            track.cpu_seconds_per_gib(),
        )?;
    }
    Ok(writeln!(text)?)
}

/// The better one of the raw limits.
pub fn limit_of(tracks: &[Track]) -> Option<&Track> {
    let limits = tracks.get(1..OWN)?.iter();
    limits.max_by(|one, other| one.bytes_per_second().total_cmp(&other.bytes_per_second()))
}

fn using(options: &Options, measured: &Measured, text: &mut String) -> Outcome<()> {
    writeln!(
        text,
        "| keeper | cold read: MB/s | clip p99 | warm read: MB/s | window of {WINDOW_CLIPS} among \
         {} clips: p50 | p99 | open after a close | bulk expiry: ms/GiB | left on disk |\n\
         |---|---|---|---|---|---|---|---|---|",
        options.lookups
    )?;
    for (track, reads) in measured.grouped.iter().zip(&measured.reads) {
        write!(
            text,
            "| {} | {} | {} | {} |",
            track.name,
            reads.cold.whole(),
            reads.cold_p99.time(),
            reads.warm.whole(),
        )?;
        let find = measured.finds.iter().find(|row| row.name == track.name);
        let bulk = measured.bulk.iter().find(|row| row.name == track.name);
        let (Some(find), Some(bulk)) = (find, bulk) else {
            writeln!(text, " - | - | - | - | - |")?;
            continue;
        };
        writeln!(
            text,
            " {} | {} | {} | {} | {:.0} MiB |",
            find.lookups.p50.time(),
            find.lookups.p99.time(),
            find.opened.time(),
            bulk.ms_per_gib.whole(),
            ratio(bulk.disk_bytes, 1 << 20),
        )?;
    }
    writeln!(
        text,
        "| a vector in memory | - | - | - | {} | {} | - | - | - |\n",
        measured.vector.p50.time(),
        measured.vector.p99.time(),
    )?;
    Ok(())
}

fn against(track: &Track, limit: &Track) -> String {
    let (median, least, most) = track.rate_against(limit);
    format!("{median:.2} ({least:.2}..{most:.2})")
}

/// A document with markers, to have the tables between them and the picture beside it.
pub struct Document(PathBuf);

impl Document {
    /// Looks at the one at `path` before there is anything to write into it: measuring takes
    /// minutes, and would be for nothing.
    pub fn find(path: &Path) -> Outcome<Self> {
        let text = read(path)?;
        around_markers(path, &text)?;
        may_write(path)?;
        let document = Self(path.to_owned());
        let picture = document.picture();
        match picture.metadata() {
            Ok(found) if found.is_file() => may_write(&picture)?,
            Ok(_) => return Err(format!("{}: not a file", picture.display()).into()),
            Err(_) => may_write(folder_of(&picture))?,
        }
        Ok(document)
    }

    fn picture(&self) -> PathBuf {
        self.0.with_file_name(CHART)
    }

    /// Replaces what stands between the markers, and the picture.
    pub fn put(&self, tables: &str, chart: &str) -> Outcome<()> {
        let text = read(&self.0)?;
        let (before, after) = around_markers(&self.0, &text)?;
        std::fs::write(self.picture(), chart)?;
        let picture = format!("![Clipkeep beside the rivals: the tables below as bars]({CHART})");
        Ok(std::fs::write(&self.0, format!("{before}{BEGIN}\n{picture}\n\n{tables}{END}{after}"))?)
    }
}

fn read(path: &Path) -> Outcome<String> {
    Ok(std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// What stands before the begin marker, and what behind the end marker.
fn around_markers<'a>(path: &Path, text: &'a str) -> Outcome<(&'a str, &'a str)> {
    let missing = |marker| format!("{}: there is no {marker} where it belongs", path.display());
    let (before, rest) = text.split_once(BEGIN).ok_or_else(|| missing(BEGIN))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| missing(END))?;
    Ok((before, after))
}

/// Whether this process may write to a file, or make one in a folder.
fn may_write(path: &Path) -> Outcome<()> {
    let allowed = rustix::fs::access(path, Access::WRITE_OK);
    Ok(allowed.map_err(|error| format!("{}: cannot be written: {error}", path.display()))?)
}

fn folder_of(path: &Path) -> &Path {
    let named = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    named.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A folder for one test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("rivals-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn document(&self, text: &str) -> PathBuf {
            let path = self.0.join("document.md");
            fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn refusal(path: &Path) -> String {
        Document::find(path).err().expect("it was taken").to_string()
    }

    #[test]
    fn what_cannot_have_the_tables_is_refused_before_anything_is_measured() {
        let folder = Folder::new("refused");
        assert!(refusal(&folder.0.join("document.md")).contains("No such file"));
        let backwards = format!("{END}{BEGIN}");
        for (text, missing) in [("", BEGIN), (BEGIN, END), (END, BEGIN), (&*backwards, END)] {
            let refusal = refusal(&folder.document(text));
            assert!(refusal.contains(missing) && refusal.contains("document.md"), "{refusal}");
        }
        let path = folder.document(&format!("{BEGIN}{END}"));
        fs::create_dir(folder.0.join(CHART)).unwrap();
        assert!(refusal(&path).contains(CHART));
        // Root may write to any file there is.
        assert!(may_write(&folder.0.join("elsewhere")).is_err());
    }

    #[test]
    fn what_stands_between_the_markers_is_replaced_and_nothing_else() {
        let folder = Folder::new("replaced");
        let path = folder.document(&format!("above\n{BEGIN}old{END}\nbelow\n"));
        let document = Document::find(&path).unwrap();
        assert!(!folder.0.join(CHART).exists(), "to look changes nothing");
        document.put("new tables\n", "<svg/>").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(&format!("above\n{BEGIN}\n![")), "{text}");
        assert!(text.ends_with(&format!("new tables\n{END}\nbelow\n")), "{text}");
        assert!(!text.contains("old"), "{text}");
        assert_eq!(fs::read_to_string(folder.0.join(CHART)).unwrap(), "<svg/>");
        Document::find(&path).unwrap().put("once more\n", "<svg/>").unwrap();
    }
}
