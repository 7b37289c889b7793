// SPDX-License-Identifier: MIT OR Apache-2.0

//! Plots: a cost over a size that grows tenfold at each mark.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

/// A line of a plot.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// What it shows.
    pub(super) name: String,
    /// Size and cost, in order of size.
    pub(super) points: Vec<(u64, u64)>,
}

const SIZE: (u32, u32) = (760, 380);
/// Where the names of the lines begin.
const LEGEND: u32 = 540;

/// An SVG with these lines.
pub(super) fn draw(sizes: &str, costs: &str, series: &[Series]) -> Result<String> {
    let mut svg = String::new();
    draw_into(&mut svg, sizes, costs, series).map_err(|error| anyhow!("cannot draw: {error}"))?;
    Ok(svg)
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw_into(svg: &mut String, sizes: &str, costs: &str, series: &[Series]) -> Drawn {
    let points = || series.iter().flat_map(|series| &series.points);
    let first = points().map(|point| point.0).min().unwrap_or(1) as f64;
    let last = points().map(|point| point.0).max().unwrap_or(1) as f64;
    let most = points().map(|point| point.1).max().unwrap_or(1) as f64;

    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (left, right) = area.split_horizontally(LEGEND);
    let mut chart = ChartBuilder::on(&left)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d((first..last * 1.05).log_scale(), 0.0..most * 1.08)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .label_style(("sans-serif", 14))
        .x_desc(sizes)
        .y_desc(costs)
        .x_label_formatter(&|size| format!("{size:.0}"))
        .y_label_formatter(&|cost| format!("{cost:.0}"))
        .draw()?;
    for (index, Series { name, points }) in series.iter().enumerate() {
        let color = Palette99::pick(index).to_rgba();
        let points = points.iter().map(|&(size, cost)| (size as f64, cost as f64));
        chart.draw_series(LineSeries::new(points, color.stroke_width(2)).point_size(3))?;
        let line = 24 + 20 * index as i32;
        right.draw(&Circle::new((8, line), 4, color.filled()))?;
        right.draw(&Text::new(name.clone(), (18, line - 6), ("sans-serif", 16)))?;
    }
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_drawn_and_named() {
        let series =
            ["flat", "steep"].map(|name| Series { name: name.into(), points: vec![(1, 5), (10_000, 50)] });
        let svg = draw("things", "instructions", &series).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(["flat", "steep", "things", "instructions"].iter().all(|text| svg.contains(text)));
        assert_eq!(
            svg.matches("<circle").count(),
            2 * (2 + 1),
            "two points of each, and the mark at its name"
        );
    }
}
