// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tables in the book, which stand between two comments and are written by the tool alone.

use std::path::Path;

use anyhow::{Context, Result};

use crate::artifact;

/// Replaces the table of the architecture `arch` in the page at `path`.
pub(crate) fn update(path: &Path, arch: &str, table: &str) -> Result<()> {
    let page = String::from_utf8_lossy(&artifact::read(path)?).into_owned();
    let page = replaced(&page, arch, table)
        .with_context(|| format!("{} has no place for the counts of {arch}", path.display()))?;
    artifact::write(path, page.as_bytes())
}

/// `page` with `table` between the comments of `arch`.
fn replaced(page: &str, arch: &str, table: &str) -> Option<String> {
    let begin = format!("<!-- counts of {arch}: written by `cargo xtask bench --update` -->\n");
    let end = format!("<!-- end of the counts of {arch} -->\n");
    let start = page.find(&begin)? + begin.len();
    let stop = start + page.get(start..)?.find(&end)?;
    Some([&page[..start], "\n", table, "\n", &page[stop..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_table_is_replaced() {
        let page = "A\n<!-- counts of x: written by `cargo xtask bench --update` -->\nold\n\
                    <!-- end of the counts of x -->\nB\n";
        let new = replaced(page, "x", "new\n").unwrap();
        assert_eq!(new, page.replace("old\n", "\nnew\n\n"));
        assert_eq!(replaced(&new, "x", "new\n").unwrap(), new);
        assert_eq!(replaced(page, "y", "new\n"), None);
        assert_eq!(replaced(page.split("<!-- end").next().unwrap(), "x", "new\n"), None);
    }
}
