//! Bar charts as SVG, made on the server: a title, a description, and no word of anybody but ours.
//!
//! Invariant: whatever the figures are, a chart stays within its box; who does not see it reads the table beside it.

/// Where bars stand, in a box of 480 by 200 units: it is as wide as its place.
const LEFT: f64 = 44.0;
const RIGHT: f64 = 476.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 176.0;
/// Most labels below the bars.
const LABELS_MAX: usize = 6;
/// A limit that is so many times higher than every bar is told, and not drawn.
const LIMIT_TIMES_MAX: f64 = 3.0;

/// A chart.
pub(super) struct Chart {
    /// Of its elements in the page.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) description: String,
    pub(super) bars: Vec<Bar>,
    pub(super) steps: Vec<Step>,
    pub(super) labels: Vec<Label>,
    /// Where the limit is, from the top.
    pub(super) limit: Option<f64>,
    pub(super) legend: Vec<(&'static str, &'static str)>,
}

/// A bar, or a part of one.
pub(super) struct Bar {
    pub(super) class: &'static str,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A line across, with its value.
pub(super) struct Step {
    pub(super) y: f64,
    pub(super) text: String,
}

/// A word below.
pub(super) struct Label {
    pub(super) x: f64,
    pub(super) text: String,
}

/// How the parts of a slot stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// One on the other.
    Stacked,
    /// One before the other, each narrower.
    Nested,
}

/// What a chart is made of.
pub(super) struct Figures<'a> {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) description: String,
    /// The parts of each slot: how each is called, and its class.
    pub(super) legend: Vec<(&'static str, &'static str)>,
    /// The label of each slot, and its parts.
    pub(super) slots: &'a [(String, Vec<f64>)],
    pub(super) stand: Stand,
    pub(super) limit: Option<f64>,
    /// How a value is written beside its line.
    pub(super) told: fn(f64) -> String,
}

impl Chart {
    pub(super) fn of(figures: Figures<'_>) -> Self {
        let high = |parts: &Vec<f64>| match figures.stand {
            Stand::Stacked => parts.iter().sum::<f64>(),
            Stand::Nested => parts.iter().copied().fold(0.0, f64::max),
        };
        let highest = figures.slots.iter().map(|(_, parts)| high(parts)).fold(0.0, f64::max);
        let limit = figures.limit.filter(|limit| *limit <= highest.max(1.0) * LIMIT_TIMES_MAX);
        let top = round_above(highest.max(limit.unwrap_or(0.0)));
        let height = |value: f64| (value / top).clamp(0.0, 1.0) * (BOTTOM - TOP);
        let width = (RIGHT - LEFT) / figures.slots.len().max(1) as f64;
        let mut bars = vec![];
        for (n, (_, parts)) in figures.slots.iter().enumerate() {
            let (x, mut foot) = (LEFT + n as f64 * width, BOTTOM);
            for (m, ((_, class), value)) in figures.legend.iter().zip(parts).enumerate() {
                let share = if figures.stand == Stand::Nested { 0.8 / (m + 1) as f64 } else { 0.8 };
                let bar = Bar {
                    class,
                    x: x + width * (1.0 - share) / 2.0,
                    y: foot - height(*value),
                    width: width * share,
                    height: height(*value),
                };
                if figures.stand == Stand::Stacked {
                    foot = bar.y;
                }
                if bar.height > 0.0 {
                    bars.push(bar);
                }
            }
        }
        let step = |n: u32| {
            let value = top * f64::from(n) / 2.0;
            Step { y: BOTTOM - height(value), text: (figures.told)(value) }
        };
        let every = figures.slots.len().div_ceil(LABELS_MAX).max(1);
        let label = |(n, (text, _)): (usize, &(String, Vec<f64>))| Label {
            x: LEFT + (n as f64 + 0.5) * width,
            text: text.clone(),
        };
        Self {
            id: figures.id,
            title: figures.title,
            description: figures.description,
            bars,
            steps: (0..=2).map(step).collect(),
            labels: figures.slots.iter().enumerate().step_by(every).map(label).collect(),
            limit: limit.map(|limit| BOTTOM - height(limit)),
            legend: figures.legend,
        }
    }
}

/// 1, 2 or 5 of some power of ten that is no less than a value, and no less than 2.
fn round_above(value: f64) -> f64 {
    let mut power = 1.0;
    // No figure is as high as that; what is no number ends the search at once.
    while power < 1e15 {
        for round in [1.0, 2.0, 5.0] {
            if round * power >= value && round * power >= 2.0 {
                return round * power;
            }
        }
        power *= 10.0;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(stand: Stand, limit: Option<f64>, slots: &[(String, Vec<f64>)]) -> Chart {
        let legend = vec![("Good", "good"), ("Bad", "bad")];
        let told = |value: f64| format!("{value:.0}");
        Chart::of(Figures { id: "c", title: "Calls", description: String::new(), legend, slots, stand, limit, told })
    }

    #[test]
    fn what_is_drawn_stays_in_its_box_and_as_high_as_it_counts() {
        let slots: Vec<(String, Vec<f64>)> = (0..168).map(|n| (n.to_string(), vec![f64::from(n % 5), 3.0])).collect();
        for (stand, limit) in [(Stand::Stacked, Some(9.0)), (Stand::Nested, None)] {
            let chart = chart(stand, limit, &slots);
            for bar in &chart.bars {
                let is_within = bar.x >= LEFT && bar.x + bar.width <= RIGHT && bar.y >= TOP - 0.001;
                assert!(is_within && bar.y + bar.height <= BOTTOM + 0.001, "{} {} {}", bar.x, bar.y, bar.height);
            }
            assert!(chart.labels.len() <= LABELS_MAX && chart.labels.iter().all(|label| label.x <= RIGHT));
            assert_eq!(chart.steps.iter().map(|step| &*step.text).collect::<Vec<_>>().len(), 3);
        }
        let two = [("a".to_owned(), vec![2.0, 2.0]), ("b".to_owned(), vec![0.0, 1.0])];
        let stacked = chart(Stand::Stacked, None, &two);
        let texts: Vec<&str> = stacked.steps.iter().map(|step| &*step.text).collect();
        assert_eq!((texts, stacked.bars.len()), (vec!["0", "2", "5"], 3), "what is nothing is not drawn");
        assert!((stacked.bars[0].height - 0.4 * (BOTTOM - TOP)).abs() < 0.001);
        assert!(
            (stacked.bars[1].y + stacked.bars[1].height - stacked.bars[0].y).abs() < 0.001,
            "one stands on the other"
        );
    }

    #[test]
    fn a_limit_far_above_is_not_drawn_and_nothing_is_still_a_chart() {
        let one = [("a".to_owned(), vec![1.0, 0.0])];
        assert!(chart(Stand::Stacked, Some(3.0), &one).limit.is_some());
        assert!(chart(Stand::Stacked, Some(1000.0), &one).limit.is_none());
        let empty = chart(Stand::Nested, None, &[]);
        assert_eq!((empty.bars.len(), empty.labels.len(), empty.steps.len()), (0, 0, 3));
        for (value, round) in [(0.0, 2.0), (2.0, 2.0), (2.1, 5.0), (6.0, 10.0), (101.0, 200.0), (f64::NAN, 1e15)] {
            assert_eq!(round_above(value), round, "{value}");
        }
    }
}
