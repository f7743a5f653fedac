//! Paths inside a store: checked once here, so that no file system behind the trait can be led
//! out of its folder. Pure text; it never looks at a disk.

use std::io;

/// `path` when it names a file inside the store.
pub(super) fn file(path: &str) -> io::Result<&str> {
    let ok = path.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains('\0'));
    if ok { Ok(path) } else { Err(invalid(path)) }
}

/// `path` when it names a folder inside the store; `""` is the store's own.
pub(super) fn folder(path: &str) -> io::Result<&str> {
    if path.is_empty() { Ok(path) } else { file(path) }
}

/// The folder that `path` is in.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn invalid(path: &str) -> io::Error {
    let message = format!("not a path inside the store: {path:?}");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_could_lead_out_of_the_store_are_refused() {
        for bad in ["", "/", "/etc/passwd", "a/", "a//b", ".", "..", "../x", "a/../b", "a/.", "a\0"]
        {
            assert_eq!(file(bad).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{bad:?}");
        }
    }

    #[test]
    fn names_that_only_look_special_are_paths() {
        for good in ["a", "...", ".hidden", "a..b", "a/b/c", "a\\b"] {
            assert_eq!(file(good).unwrap(), good);
        }
    }

    #[test]
    fn only_a_folder_may_be_the_store_itself() {
        assert_eq!(folder("").unwrap(), "");
        assert!(folder("a/..").is_err());
        assert_eq!((parent("a"), parent("a/b/c")), ("", "a/b"));
    }
}
