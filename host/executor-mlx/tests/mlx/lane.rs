//! Rows that decode together, against the same tokens fed as one prompt, which never decodes.

use std::sync::Arc;

use atoll_engine::executor::TokenId;
use atoll_engine::sampling::SamplingParams;
use atoll_executor_mlx::MlxExecutor;
use atoll_executor_tests::Rig as _;
use atoll_executor_tests::draws::ways;
use atoll_executor_tests::precision::decide;
use atoll_executor_tests::support::{draw, greedy, open_with, results, row};

use super::MlxRig;

/// One sequence and what it should say.
struct Talk {
    id: u64,
    tokens: Vec<TokenId>,
    blocks: Vec<u32>,
    sampling: Arc<SamplingParams>,
    prompt: usize,
    /// From where on its tokens are checked.
    checked: usize,
}

impl Talk {
    /// Opens it and feeds its prompt but for the `skipped` positions, which its blocks hold already.
    fn begin(
        executor: &mut MlxExecutor,
        id: u64,
        prompt: Vec<TokenId>,
        skipped: usize,
        blocks: Vec<u32>,
        sampling: Arc<SamplingParams>,
    ) -> Self {
        open_with(executor, id, &prompt, Arc::clone(&sampling));
        let drawn = draw(executor, row(id, skipped, &prompt[skipped..], &blocks, 1));
        let length = prompt.len();
        let mut tokens = prompt;
        tokens.push(drawn);
        Self {
            id,
            tokens,
            blocks,
            sampling,
            prompt: length,
            checked: length,
        }
    }

    /// Whether every drawn token is what a sequence says that is fed everything before it at once.
    fn check(&self, model: &str) {
        let mut fresh = MlxRig.load(model);
        let blocks: Vec<u32> = (0..32).collect();
        for (id, len) in (self.checked..self.tokens.len()).enumerate() {
            let (known, drawn) = (&self.tokens[..len], self.tokens[len]);
            let prompt = &self.tokens[..self.prompt];
            open_with(&mut fresh, id as u64, prompt, Arc::clone(&self.sampling));
            let expected = draw(&mut fresh, row(id as u64, 0, known, &blocks, 1));
            let history = (known, self.prompt);
            decide(&MlxRig, model, history, &self.sampling, (drawn, expected));
        }
    }
}

/// Each of them goes on, all in one step.
fn together(executor: &mut MlxExecutor, talks: &mut [&mut Talk], steps: usize) {
    for _ in 0..steps {
        let rows = talks.iter().map(|talk| {
            let at = talk.tokens.len() - 1;
            row(talk.id, at, &talk.tokens[at..], &talk.blocks, 1)
        });
        let drawn = results(executor, rows.collect());
        for (talk, drawn) in talks.iter_mut().zip(drawn) {
            talk.tokens.push(drawn.unwrap()[0].token);
        }
    }
}

fn prompt(len: usize, salt: usize) -> Vec<TokenId> {
    let token = |i: usize| ((i * i * 7 + i * salt + salt) % 250) as TokenId;
    (0..len).map(token).collect()
}

#[test]
fn rows_join_and_leave_and_blocks_change_hands() {
    for model in ["qwen3-q4-g32", "qwen3-moe-bf16"] {
        let executor = &mut MlxRig.load(model);
        let begin = |executor: &mut MlxExecutor, id, len, blocks: &[u32]| {
            let prompt = prompt(len, id as usize);
            Talk::begin(executor, id, prompt, 0, blocks.to_vec(), greedy())
        };
        let mut a = begin(executor, 1, 5, &[0, 1, 2, 3, 4, 5]);
        let mut b = begin(executor, 2, 21, &[6, 7, 8, 9]);
        let mut c = begin(executor, 3, 21, &[10, 11, 12, 13]);
        together(executor, &mut [&mut b, &mut c], 3);
        together(executor, &mut [&mut a, &mut b, &mut c], 20);
        // Another order is another lane.
        together(executor, &mut [&mut c, &mut a], 4);
        // What a lane wrote is a prefix for somebody else: 16 positions, most of them decoded.
        let mut shared = a.tokens[..16].to_vec();
        shared.extend(prompt(4, 9));
        let blocks = vec![0, 20, 21];
        let mut d = Talk::begin(executor, 4, shared, 16, blocks, greedy());
        // The blocks of one that has ended, while others go on.
        let mut e = begin(executor, 5, 33, &[6, 7, 8, 9]);
        together(executor, &mut [&mut a, &mut c, &mut d, &mut e], 9);
        for talk in [&a, &b, &c, &d, &e] {
            talk.check(model);
        }
    }
}

#[test]
fn draws_of_every_kind_share_a_lane_and_begin_ahead() {
    let model = "llama-f32-tied";
    let executor = &mut MlxRig.load(model);
    let (here, on_the_host): (Vec<_>, Vec<_>) = ways()
        .into_iter()
        .map(Arc::new)
        .partition(|way| way.logprobs.is_none());
    assert!(here.len() > 8 && !on_the_host.is_empty());
    // So many rows are as many as a lane of these few pages can have.
    for (group, ways) in here.chunks(3).enumerate() {
        let with_host = ways
            .iter()
            .chain(on_the_host.iter().cycle().skip(group).take(1));
        let mut talks = Vec::new();
        for (place, sampling) in with_host.enumerate() {
            let id = (group * 4 + place) as u64;
            let prompt = prompt(3 + 2 * place, place + 1);
            let blocks = (0..3).map(|block| (place * 3 + block) as u32).collect();
            let sampling = Arc::clone(sampling);
            talks.push(Talk::begin(executor, id, prompt, 0, blocks, sampling));
        }
        let mut all: Vec<&mut Talk> = talks.iter_mut().collect();
        let before = executor.begun_ahead().unwrap();
        let ahead = |executor: &MlxExecutor| executor.begun_ahead().unwrap() - before;
        // With something in the lane that is drawn on the host, nothing begins ahead.
        together(executor, &mut all, 3);
        assert_eq!(ahead(executor), 0);
        // Without it every step but the first does.
        let device = &mut all[..ways.len()];
        together(executor, device, 6);
        assert_eq!(ahead(executor), 5);
        // Something else than what was begun: it is dropped, and a draw's number is not used up.
        let last = device[0].tokens.len() - 1;
        device[0].tokens[last] = (device[0].tokens[last] + 1) % 250;
        device[0].checked = device[0].tokens.len();
        together(executor, device, 5);
        assert_eq!(ahead(executor), 9);
        for talk in &talks {
            talk.check(model);
        }
    }
}

#[test]
fn a_lane_grows_and_a_window_ends_it() {
    // 300 positions are more than a lane begins with; a window is narrower than that.
    for model in ["llama-f32-tied", "mistral-f16-window"] {
        let executor = &mut MlxRig.load(model);
        let blocks: Vec<u32> = (0..32).collect();
        let mut talk = Talk::begin(executor, 1, prompt(4, 3), 0, blocks, greedy());
        together(executor, &mut [&mut talk], 300);
        // All of it would take long to check.
        talk.checked = 290;
        talk.check(model);
        talk.tokens.truncate(60);
        talk.checked = 40;
        talk.check(model);
    }
}
