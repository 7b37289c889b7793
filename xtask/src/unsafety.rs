// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where unsafe code stands: counted per crate, from the tokens of the sources, so that comments and texts do
//! not count and the bodies of macros do.

use std::fs;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, anyhow};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// What was found in some source text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Lines of the files.
    pub(crate) lines: usize,
    /// Blocks `unsafe { … }`.
    pub(crate) blocks: usize,
    /// Lines that stand in such blocks; those in a nested block count once.
    pub(crate) lines_in_blocks: usize,
    /// Functions, implementations and traits that are unsafe to call, to write or to promise.
    pub(crate) items: usize,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.lines += other.lines;
        self.blocks += other.blocks;
        self.lines_in_blocks += other.lines_in_blocks;
        self.items += other.items;
    }
}

/// Counts in all sources of a crate.
pub(crate) fn in_crate(directory: &Path) -> Result<Count> {
    let mut count = Count::default();
    for file in sources(&directory.join("src"))? {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        count += in_text(&text).with_context(|| file.display().to_string())?;
    }
    Ok(count)
}

/// All Rust files below a directory.
fn sources(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries =
            fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))?;
        for entry in entries {
            let path = entry.context("cannot read a directory")?.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    Ok(files)
}

fn in_text(text: &str) -> Result<Count> {
    let tokens = TokenStream::from_str(text).map_err(|error| anyhow!("{error}"))?;
    let mut count = Count { lines: text.lines().count(), ..Count::default() };
    // Depth is that of the source's brackets, for which the stack holds; it is our own source.
    scan(tokens, Place::Outside, &mut count);
    Ok(count)
}

/// Whether tokens stand in an unsafe block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    Inside,
}

fn scan(tokens: TokenStream, place: Place, count: &mut Count) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) if word == "unsafe" => match tokens.peek() {
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    count.blocks += 1;
                    if place == Place::Outside {
                        count.lines_in_blocks += lines(group);
                    }
                    scan(group.stream(), Place::Inside, count);
                    tokens.next();
                }
                Some(TokenTree::Ident(word))
                    if ["fn", "impl", "trait", "extern"].iter().any(|item| word == item) =>
                {
                    count.items += 1;
                }
                // An attribute such as `#[unsafe(naked)]`, or the word alone, matched by a macro.
                _ => {}
            },
            TokenTree::Group(group) => scan(group.stream(), place, count),
            _ => {}
        }
    }
}

fn lines(group: &Group) -> usize {
    group.span_close().end().line + 1 - group.span_open().start().line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_counted_where_it_stands() {
        let text = r#"
            // unsafe { a comment }
            /* unsafe { } */
            const TEXT: &str = "unsafe { }";
            unsafe fn f() {}
            unsafe impl Send for A {}
            #[unsafe(naked)]
            extern "C" fn naked() {}
            fn g() {
                unsafe {
                    one();
                    unsafe { two() };
                }
                let x = unsafe { three() };
            }
            macro_rules! four { () => { unsafe { four() } } }
        "#;
        assert_eq!(in_text(text).unwrap(), Count { lines: 17, blocks: 4, lines_in_blocks: 6, items: 2 });
    }

    #[test]
    fn a_crate_is_counted_with_all_of_its_files() {
        let count = in_crate(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert_eq!((count.blocks, count.items), (0, 0));
        assert!(count.lines > 1000);
    }

    #[test]
    fn every_crate_can_be_counted() {
        for krate in crate::workspace::Workspace::load().unwrap().crates() {
            assert!(in_crate(&krate.directory).unwrap().lines > 0, "{}", krate.name);
        }
    }

    #[test]
    fn a_broken_file_is_an_error() {
        assert!(in_text("fn f() {").is_err());
    }
}
