//! How the demo talks: acts, sentences, and claims that are checked.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::output::Out;

/// The width of sentences.
const WIDTH: usize = 78;

/// The teller.
#[derive(Debug)]
pub(super) struct Story<'a> {
    out: &'a mut Out,
    colour: bool,
    unicode: bool,
    acts: u32,
    checks: Vec<(String, bool)>,
}

impl<'a> Story<'a> {
    pub(super) fn new(out: &'a mut Out) -> Self {
        let colour = out.wants_colour();
        Self { out, colour, unicode: speaks_unicode(), acts: 0, checks: Vec::new() }
    }

    /// What the four states of a slot are drawn with: to come, gone, kept, held.
    pub(super) fn marks(&self) -> [char; 4] {
        if self.unicode { [' ', '·', '▒', '█'] } else { [' ', '.', '=', '#'] }
    }

    /// A new act.
    pub(super) fn act(&mut self, title: &str) -> anyhow::Result<()> {
        self.acts += 1;
        let heading = format!("{}. {title}", self.acts);
        let heading = self.painted("1", &heading);
        self.plain("")?;
        self.plain(&heading)?;
        self.plain("")
    }

    /// A paragraph.
    pub(super) fn say(&mut self, text: &str) -> anyhow::Result<()> {
        for line in wrapped(text, WIDTH) {
            self.plain(&line)?;
        }
        self.plain("")
    }

    /// A fact beside the story.
    pub(super) fn detail(&mut self, text: &str) -> anyhow::Result<()> {
        self.plain(&format!("  - {text}"))
    }

    /// A claim, and whether it is true.
    pub(super) fn check(&mut self, claim: &str, holds: bool) -> anyhow::Result<()> {
        let (mark, colour) = match (holds, self.unicode) {
            (true, true) => ("✓", "32"),
            (true, false) => ("ok", "32"),
            (false, true) => ("✗ FAILED:", "31;1"),
            (false, false) => ("FAILED:", "31;1"),
        };
        let mark = self.painted(colour, mark);
        self.checks.push((claim.to_owned(), holds));
        let mut lines = wrapped(claim, WIDTH - 4).into_iter();
        self.plain(&format!("  {mark} {}", lines.next().unwrap_or_default()))?;
        lines.try_for_each(|line| self.plain(&format!("    {line}")))
    }

    /// A line as it is; nothing at all where a script listens.
    pub(super) fn plain(&mut self, text: &str) -> anyhow::Result<()> {
        if self.out.wants_json() { Ok(()) } else { self.out.line(text.trim_end()) }
    }

    /// How many claims held, and how many did not.
    pub(super) fn count(&self) -> (usize, usize) {
        let failed = self.checks.iter().filter(|(_, holds)| !holds).count();
        (self.checks.len() - failed, failed)
    }

    /// The claims, for scripts.
    pub(super) fn into_checks(self) -> Vec<Value> {
        let check = |(claim, holds)| json!({"claim": claim, "holds": holds});
        self.checks.into_iter().map(check).collect()
    }

    /// The last words.
    pub(super) fn close(
        mut self,
        passed: usize,
        failed: usize,
        dir: Option<&Path>,
    ) -> anyhow::Result<()> {
        self.plain("")?;
        if failed == 0 {
            let text = format!("All {passed} claims were checked against the store and hold.");
            let text = self.painted("32;1", &text);
            self.plain(&text)?;
        } else {
            let text = format!("{failed} of {} claims do NOT hold.", passed + failed);
            let text = self.painted("31;1", &text);
            self.plain(&text)?;
        }
        match dir {
            Some(dir) => {
                let dir = dir.display();
                self.plain(&format!("The store is left in {dir}. Look at it with"))?;
                self.plain(&format!("  clipkeep stats --dir {dir}"))?;
                self.plain(&format!("  clipkeep ls --dir {dir} --camera garden"))?;
                self.plain(&format!("  clipkeep inspect ledger --dir {dir}"))
            }
            None => self.plain("With --dir DIR the store is left for you to look at."),
        }
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Whether the locale says that the terminal can show more than ASCII.
fn speaks_unicode() -> bool {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// `text` in lines of at most `width` characters, broken at spaces.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        if let Some(line) = lines.last_mut() {
            let length = line.chars().count() + 1 + word.chars().count();
            if line.is_empty() {
                line.push_str(word);
                continue;
            }
            if length <= width {
                line.push(' ');
                line.push_str(word);
                continue;
            }
        }
        lines.push(word.to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_broken_at_spaces() {
        assert_eq!(wrapped("a bb ccc", 4), ["a bb", "ccc"]);
        assert_eq!(wrapped("longer than that", 3), ["longer", "than", "that"]);
        assert_eq!(wrapped("", 3), [""]);
    }
}
