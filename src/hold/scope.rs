//! The cameras and windows of a hold, in one spelling, and the texts beside them.
//!
//! Owns the normal form (so that the same scope compares equal) and the limits. Knows no hold.

use crate::format::entry::{SCOPE_RANGES_MAX, TEXT_BYTES_MAX};
use crate::types::{CameraId, Error, Result, Window};

/// Sorts by camera and start, and joins the windows of one camera that overlap or touch.
pub(crate) fn normalise(mut scope: Vec<(CameraId, Window)>) -> Vec<(CameraId, Window)> {
    scope.sort();
    let mut normal: Vec<(CameraId, Window)> = Vec::with_capacity(scope.len());
    for (camera, window) in scope {
        if let Some((last_camera, last)) = normal.last_mut()
            && *last_camera == camera
            && window.start() <= last.end()
        {
            // Sorted by start, so the join is never empty and `new` cannot fail.
            if let Ok(joined) = Window::new(last.start(), last.end().max(window.end())) {
                *last = joined;
            }
            continue;
        }
        normal.push((camera, window));
    }
    normal
}

/// Whether `inner` lies wholly in `outer`; both normal.
pub(crate) fn contains(outer: &[(CameraId, Window)], inner: &[(CameraId, Window)]) -> bool {
    // The ranges of `outer` do not touch, so one of them must hold each range of `inner` whole:
    // the last that starts no later.
    inner.iter().all(|(camera, window)| {
        let after = outer.partition_point(|(c, w)| (c, w.start()) <= (camera, window.start()));
        after
            .checked_sub(1)
            .and_then(|at| outer.get(at))
            .is_some_and(|(c, w)| c == camera && w.contains(window))
    })
}

/// Refuses no range at all, and more than a ledger entry takes.
pub(crate) fn check_ranges(scope: &[(CameraId, Window)]) -> Result<()> {
    if scope.is_empty() {
        return Err(Error::invalid("hold without a camera: want at least one"));
    }
    if scope.len() > SCOPE_RANGES_MAX {
        return Err(Error::invalid(format!(
            "hold of more than {SCOPE_RANGES_MAX} camera windows: place several holds"
        )));
    }
    Ok(())
}

/// Refuses texts that are too long, or that could draw over a terminal or a log.
pub(crate) fn check_text(name: &str, text: &str) -> Result<()> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Error::invalid(format!(
            "{name} of {} bytes: want at most {TEXT_BYTES_MAX}",
            text.len()
        )));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::invalid(format!("{name} {text:?}: want no control characters")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Timestamp;

    fn range(camera: &str, start: i64, end: i64) -> (CameraId, Window) {
        let window =
            Window::new(Timestamp::from_micros(start), Timestamp::from_micros(end)).unwrap();
        (camera.parse().unwrap(), window)
    }

    #[test]
    fn the_same_scope_has_one_spelling() {
        let one = normalise(vec![range("b", 0, 5), range("a", 0, 9), range("b", 5, 8)]);
        let two = normalise(vec![range("a", 3, 9), range("b", 0, 8), range("a", 0, 4)]);
        assert_eq!(one, [range("a", 0, 9), range("b", 0, 8)]);
        assert_eq!(one, two);
        assert_eq!(normalise(one.clone()), one);
    }

    #[test]
    fn windows_apart_and_other_cameras_are_not_joined() {
        let scope = vec![range("a", 0, 4), range("a", 5, 9), range("b", 4, 5)];
        assert_eq!(normalise(scope.clone()), scope);
    }

    #[test]
    fn a_window_inside_another_does_not_shorten_it() {
        assert_eq!(normalise(vec![range("a", 0, 9), range("a", 1, 3)]), [range("a", 0, 9)]);
    }

    #[test]
    fn containment_is_by_camera_and_whole_window() {
        let outer = [range("a", 0, 4), range("a", 6, 9), range("b", 0, 4)];
        assert!(contains(&outer, &[range("a", 0, 4), range("b", 1, 2)]));
        assert!(contains(&outer, &[]));
        assert!(!contains(&outer, &[range("a", 3, 7)]));
        assert!(!contains(&outer, &[range("b", 3, 5)]));
        assert!(!contains(&outer, &[range("c", 0, 1)]));
        assert!(!contains(&outer, &[range("A", 0, 1)]));
    }

    #[test]
    fn long_texts_and_control_characters_are_refused() {
        assert!(check_text("reason", &"x".repeat(TEXT_BYTES_MAX)).is_ok());
        assert!(check_text("reason", &"x".repeat(TEXT_BYTES_MAX + 1)).is_err());
        assert!(check_text("reason", "red\u{1b}[31m").is_err());
        assert!(check_text("reason", "two\nlines").is_err());
        assert!(check_text("reason", "caf\u{e9} 19-4471").is_ok());
    }
}
