//! Pooled hidden states do not depend on neighbours, bit for bit.

use crate::support::{load, options};
use atoll_engine::executor::{Executor, Pooling, Row, RowError};
use atoll_executor_tests::pooling::{PROMPT, pooled};
use atoll_executor_tests::support::{bits, open, row};

#[test]
fn rows_beside_each_other_change_nothing_and_a_bad_one_fails_alone() {
    let mut executor = load("qwen2-bf16", &options());
    let (a, b) = (&PROMPT[..9], &PROMPT[9..]);
    let alone = [
        pooled(&mut executor, 1, a, &[a.len()], Pooling::Mean),
        pooled(&mut executor, 2, b, &[b.len()], Pooling::Mean),
    ];
    open(&mut executor, 3, a);
    open(&mut executor, 4, b);
    let bad = Row {
        tokens: vec![u32::MAX],
        ..row(4, 0, b, &[7], 0)
    };
    let rows = [row(3, 0, a, &[1], 0), bad];
    let mut sums = vec![Vec::new(); 2];
    let results = executor.pool(&rows, Pooling::Mean, &mut sums).unwrap();
    assert!(
        matches!(results[..], [Ok(()), Err(RowError::Invalid(_))]),
        "{results:?}"
    );
    assert_eq!(bits(&sums[0]), bits(&alone[0]));

    open(&mut executor, 5, a);
    let rows = [row(5, 0, a, &[1], 0), row(4, 0, b, &[7], 0)];
    let mut sums = vec![Vec::new(); 2];
    let results = executor.pool(&rows, Pooling::Mean, &mut sums).unwrap();
    assert_eq!(results, [Ok(()), Ok(())]);
    for (sum, alone) in sums.iter().zip(&alone) {
        assert_eq!(bits(sum), bits(alone));
    }
}
