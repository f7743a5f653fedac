//! `clipkeep demo`.

use serde_json::json;

use super::Bench;

#[test]
fn every_claim_of_the_demo_holds() {
    let bench = Bench::new();
    let told = bench.run(&["demo", "--fast", "--json"]).ok().json();
    assert_eq!(told["failed"], json!(0));
    assert!(told["checks"].as_array().unwrap().len() >= 12);
    let row = told["timeline"]["cameras"]["front-door"].as_str().unwrap().to_owned();
    assert!(row.starts_with("........kkkk") && !row.contains('h'), "{row}");
}

#[test]
fn every_claim_of_the_demo_holds_at_its_full_length() {
    let told = Bench::new().run(&["demo", "--json"]).ok().json();
    assert_eq!(told["failed"], json!(0));
}

#[cfg(feature = "requests")]
#[test]
fn the_readme_has_the_second_half_as_it_is_printed() {
    let readme = include_str!("../../../README.md");
    let from = readme.find("6. Another street").unwrap();
    let half = readme[from..].split("```").next().unwrap();
    let told = Bench::new().run(&["demo", "--fast"]).ok().stdout;
    let begin = told.find("6. Another street").unwrap();
    let end = told.find("With --dir DIR").unwrap();
    assert_eq!(&told[begin..end], half);
}

#[test]
fn the_demo_does_not_touch_the_store_of_the_environment() {
    let bench = Bench::with_clip();
    bench.run(&["demo", "--fast", "--json"]).ok();
    assert_eq!(bench.ids().len(), 1);
}

#[test]
fn the_demo_leaves_its_store_when_asked_and_only_in_a_new_folder() {
    let bench = Bench::new();
    let dir = bench.path("left");
    let call = ["demo", "--fast", "--dir", dir.to_str().unwrap()];
    let told = bench.run(&call).ok().stdout;
    assert!(told.contains("All ") && told.contains("claims were checked"), "{told}");
    assert!(!told.contains('\u{1b}'), "colours without a terminal");
    let listed = bench.json(&["ls", "--dir", dir.to_str().unwrap(), "--camera", "garden"]);
    assert!(!listed["clips"].as_array().unwrap().is_empty());
    bench.run(&call).exits(2);
}
