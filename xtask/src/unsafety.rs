// SPDX-License-Identifier: MIT OR Apache-2.0

//! How much code there is and where it is unsafe: counted per crate, from the tokens of the sources, so that comments do
//! not count and the bodies of macros do.
//!
//! What is only compiled for tests is no code here: items with an attribute `cfg` that asks for `test`, and the files
//! of such modules. Unsafe blocks count wherever they are.

use std::collections::BTreeSet;
use std::fs;
use std::iter::Peekable;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, anyhow};
use proc_macro2::token_stream::IntoIter;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// What was found in some source text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Lines with code, tests aside.
    pub(crate) code: usize,
    /// Blocks `unsafe { … }`.
    pub(crate) blocks: usize,
    /// Lines that stand in such blocks; those in a nested block count once.
    pub(crate) lines_in_blocks: usize,
    /// Functions, implementations and traits that are unsafe to call, to write or to promise.
    pub(crate) items: usize,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.code += other.code;
        self.blocks += other.blocks;
        self.lines_in_blocks += other.lines_in_blocks;
        self.items += other.items;
    }
}

/// Counts in all sources of a crate.
pub(crate) fn in_crate(directory: &Path) -> Result<Count> {
    let mut sources = Vec::new();
    let mut tests = Vec::new();
    for file in files(&directory.join("src"))? {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let source = Source::parse(&text).with_context(|| file.display().to_string())?;
        let modules = module_directory(&file);
        tests.extend(source.test_modules.iter().map(|name| modules.join(name)));
        sources.push((file, source));
    }
    let is_test =
        |file: &Path| tests.iter().any(|test| file.starts_with(test) || file == test.with_extension("rs"));
    let mut count = Count::default();
    for (file, source) in sources {
        count += source.count;
        if !is_test(&file) {
            count.code += source.code_lines.len();
        }
    }
    Ok(count)
}

/// Where the files of a file's modules are.
fn module_directory(file: &Path) -> PathBuf {
    let directory = file.parent().unwrap_or(Path::new(""));
    match file.file_stem().and_then(|stem| stem.to_str()) {
        Some("lib" | "main" | "mod") | None => directory.to_owned(),
        Some(name) => directory.join(name),
    }
}

/// All Rust files below a directory.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
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

/// What is in a file.
#[derive(Debug, Default)]
struct Source {
    /// Unsafe code.
    count: Count,
    /// The lines with code, tests aside.
    code_lines: BTreeSet<usize>,
    /// The modules in files of their own that are only there for tests.
    test_modules: Vec<String>,
}

impl Source {
    fn parse(text: &str) -> Result<Self> {
        let tokens = TokenStream::from_str(text).map_err(|error| anyhow!("{error}"))?;
        let mut source = Self::default();
        // Depth is that of the source's brackets, for which the stack holds; it is our own source.
        scan(tokens.clone(), Place::Outside, &mut source.count);
        source.find_code(tokens);
        Ok(source)
    }

    /// Notes the lines of tokens, but for documentation and items that are for tests.
    fn find_code(&mut self, tokens: TokenStream) {
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            if is_hash(&token) {
                let is_inner =
                    tokens.next_if(|next| matches!(next, TokenTree::Punct(mark) if mark.as_char() == '!'));
                match (tokens.peek(), is_inner) {
                    (Some(TokenTree::Group(group)), _) if is_documentation(group) => {
                        tokens.next();
                        continue;
                    }
                    (Some(TokenTree::Group(group)), None) if is_for_tests(group) => {
                        tokens.next();
                        self.test_modules.extend(skip_item(&mut tokens));
                        continue;
                    }
                    _ => {}
                }
            }
            match token {
                TokenTree::Group(group) => {
                    self.code_lines.extend([group.span_open().start().line, group.span_close().end().line]);
                    self.find_code(group.stream());
                }
                token => self.code_lines.extend(token.span().start().line..=token.span().end().line),
            }
        }
    }
}

fn is_hash(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(mark) if mark.as_char() == '#')
}

/// Whether an attribute is a comment that documents.
fn is_documentation(attribute: &Group) -> bool {
    let mut tokens = attribute.stream().into_iter();
    matches!(
        (tokens.next(), tokens.next()),
        (Some(TokenTree::Ident(name)), Some(TokenTree::Punct(mark))) if name == "doc" && mark.as_char() == '='
    )
}

/// Whether an attribute keeps its item for tests.
fn is_for_tests(attribute: &Group) -> bool {
    let mut tokens = attribute.stream().into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Ident(name)), Some(TokenTree::Group(condition))) if name == "cfg" => {
            asks_for_test(condition.stream())
        }
        _ => false,
    }
}

/// Whether a condition names `test` other than to exclude it.
fn asks_for_test(condition: TokenStream) -> bool {
    let mut excluded = false;
    condition.into_iter().any(|token| match token {
        TokenTree::Ident(word) => {
            excluded = word == "not";
            word == "test"
        }
        TokenTree::Group(group) => !excluded && asks_for_test(group.stream()),
        _ => false,
    })
}

/// Skips the item that follows its attribute. Gives its name if it is a module in a file of its own.
fn skip_item(tokens: &mut Peekable<IntoIter>) -> Option<String> {
    let (mut module, mut ends_with_brace) = (None, true);
    while let Some(token) = tokens.next() {
        match token {
            // More attributes.
            token if is_hash(&token) => drop(tokens.next()),
            TokenTree::Ident(word) if word == "mod" => module = tokens.next().map(|name| name.to_string()),
            // Their braces are followed by a semicolon.
            TokenTree::Ident(word) if ["use", "const", "static", "let"].iter().any(|item| word == item) => {
                // `const fn` is a function.
                let next = tokens.peek().map(ToString::to_string);
                ends_with_brace = matches!(next.as_deref(), Some("fn" | "unsafe"));
            }
            TokenTree::Punct(mark) if mark.as_char() == ';' => return module,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace && ends_with_brace => {
                return None;
            }
            _ => {}
        }
    }
    None
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
        let count = Source::parse(text).unwrap().count;
        assert_eq!(count, Count { code: 0, blocks: 4, lines_in_blocks: 6, items: 2 });
    }

    #[test]
    fn code_is_neither_comment_nor_test() {
        let text = r#"//! About.
            #![no_std] // 2
            /// Documented.
            #[doc(hidden)] // 4
            fn f() { // 5
                // A comment.
                "of
                 two lines" // 7, 8

            } // 10
            #[cfg(test)]
            #[expect(dead_code)]
            mod test {
                fn g() {}
            }
            #[cfg(any(test, feature = "host"))]
            mod host;
            #[cfg(any(test, feature = "host"))]
            pub const fn h(a: u8, b: u8) -> u8 {
                a
            }
            #[cfg(test)]
            use self::{a, b};
            #[cfg(not(test))] // 24
            mod real; // 25
        "#;
        let source = Source::parse(text).unwrap();
        assert_eq!(Vec::from_iter(source.code_lines), [2, 4, 5, 7, 8, 10, 24, 25]);
        assert_eq!(source.test_modules, ["host"]);
    }

    #[test]
    fn modules_have_their_files_where_the_compiler_looks() {
        for (file, directory) in [("src/lib.rs", "src"), ("src/a/mod.rs", "src/a"), ("src/a.rs", "src/a")] {
            assert_eq!(module_directory(Path::new(file)), Path::new(directory));
        }
    }

    #[test]
    fn a_crate_is_counted_with_all_of_its_files() {
        let count = in_crate(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert_eq!((count.blocks, count.items), (0, 0));
        assert!(count.code > 1000);
    }

    #[test]
    fn every_crate_can_be_counted() {
        for krate in crate::workspace::Workspace::load().unwrap().crates() {
            assert!(in_crate(&krate.directory).unwrap().code > 0, "{}", krate.name);
        }
    }

    #[test]
    fn a_broken_file_is_an_error() {
        assert!(Source::parse("fn f() {").is_err());
    }
}
