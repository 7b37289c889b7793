// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tables in the book, which stand between two comments and are written by the tool alone.

use std::path::Path;

use anyhow::{Context, Result};

use crate::artifact;

/// Replaces the text that is known as `what`, and that the command `by` writes, in the page at `path`.
pub(crate) fn update(path: &Path, what: &str, by: &str, text: &str) -> Result<()> {
    let page = String::from_utf8_lossy(&artifact::read(path)?).into_owned();
    let page = replaced(&page, what, by, text)
        .with_context(|| format!("{} has no place for the {what}", path.display()))?;
    artifact::write(path, page.as_bytes())
}

/// `page` with `text` between its comments.
fn replaced(page: &str, what: &str, by: &str, text: &str) -> Option<String> {
    let begin = format!("<!-- {what}: written by `{by}` -->\n");
    let end = format!("<!-- end of the {what} -->\n");
    let start = page.find(&begin)? + begin.len();
    let stop = start + page.get(start..)?.find(&end)?;
    Some([&page[..start], "\n", text, "\n", &page[stop..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_table_is_replaced() {
        let page = "A\n<!-- counts of x: written by `me` -->\nold\n<!-- end of the counts of x -->\nB\n";
        let replaced = |page, what| replaced(page, what, "me", "new\n");
        let new = replaced(page, "counts of x").unwrap();
        assert_eq!(new, page.replace("old\n", "\nnew\n\n"));
        assert_eq!(replaced(&new, "counts of x").unwrap(), new);
        assert_eq!(replaced(page, "counts of y"), None);
        assert_eq!(replaced(page.split("<!-- end").next().unwrap(), "counts of x"), None);
    }
}
