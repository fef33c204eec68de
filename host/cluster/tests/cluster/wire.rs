//! The bytes on the wire, frozen: a change here is a change of version.

use atoll_cluster::identity::NodeId;
use atoll_cluster::wire::call::{Answer, Call, StageFacts, StageName, StageOrder};
use atoll_cluster::wire::{
    self, Command, Commands, Hidden, Precision, Reply, ReplyBody, Row, RowFault, RowResult, Sample,
    Sampled, Sampling, Step, VERSION, WireError,
};
use atoll_engine::executor::{Activations, RowError};
use atoll_engine::sampling::SamplingParams;

fn commands() -> Commands {
    let sampling = Sampling::from(&SamplingParams {
        top_k: Some(40),
        logit_bias: vec![(3, -1.0)],
        seed: 300,
        ..SamplingParams::default()
    });
    Commands {
        epoch: 2,
        commands: vec![
            Command::Open {
                sequence: 1,
                sampling: sampling.clone(),
                prompt: vec![1, 200, 70_000],
            },
            Command::Fork {
                parent: 1,
                child: 2,
                sampling,
            },
            Command::Truncate {
                sequence: 1,
                len: 4,
            },
            Command::Close { sequence: 1 },
            Command::Step(Step {
                id: 9,
                copies: vec![(1, 2)],
                rows: vec![Row {
                    sequence: 2,
                    start: 3,
                    tokens: vec![5],
                    blocks: vec![7, 8],
                    sample: Some(Sample {
                        positions: 1,
                        mask: Some(vec![255, 0, 0, 1]),
                    }),
                }],
            }),
        ],
    }
}

fn replies() -> Vec<Reply> {
    let bodies = [
        ReplyBody::Beat,
        ReplyBody::Output {
            step: 9,
            rows: vec![
                RowResult {
                    sequence: 2,
                    result: Ok(vec![Sampled {
                        token: 77,
                        logprob: Some(-0.5),
                        top: vec![(77, -0.5)],
                    }]),
                },
                RowResult {
                    sequence: 3,
                    result: Err(RowFault::Invalid("x".to_owned())),
                },
            ],
        },
        ReplyBody::Failed {
            reason: "no".to_owned(),
        },
    ];
    let reply = |body| Reply {
        epoch: 2,
        stage: 1,
        body,
    };
    bodies.map(reply).to_vec()
}

fn hidden() -> Hidden {
    Hidden {
        epoch: 2,
        step: 9,
        activations: Activations {
            rows: vec![Ok(()), Err(RowError::NotFinite)],
            hidden: vec![1.0, -2.5],
        },
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One frame of each kind, as the first version of the wire wrote it.
const VERSION_1: [&str; 6] = [
    "01020500010000803f01280000803f000000000000803f0000000000000000000103000080bfac02000301c801f0a2040101020000803f01280000803f000000000000803f0000000000000000000103000080bfac020002010403010409010102010203010502070801010104ff000001",
    "01020100",
    "0102010109020200014d01000000bf014d000000bf0301000178",
    "01020102026e6f",
    "0102090002010101020000803f000020c0",
    "010209010201010102803f20c0",
];

#[test]
fn version_1_has_these_bytes() {
    assert_eq!(VERSION, 1);
    let mut frames = vec![wire::encode(&commands()).unwrap()];
    frames.extend(replies().iter().map(|reply| wire::encode(reply).unwrap()));
    for precision in [Precision::F32, Precision::Bf16] {
        frames.push(hidden().encode(precision).unwrap());
    }
    let frames: Vec<String> = frames.iter().map(|frame| hex(frame)).collect();
    assert_eq!(frames, VERSION_1);
}

#[test]
fn version_1_of_the_control_plane_has_these_bytes() {
    let name = StageName {
        instance: 1,
        epoch: 2,
        index: 3,
    };
    let node: NodeId = format!("{:032x}", 1).parse().unwrap();
    let order = StageOrder {
        name,
        nodes: vec![node],
        coordinator: node,
        model: "m".to_owned(),
        fingerprint: "f".to_owned(),
        first: 0,
        end: 4,
        block_size: 16,
        num_blocks: 32,
        precision: Precision::F32,
        beat_ms: 200,
    };
    let facts = StageFacts {
        block_size: 16,
        num_blocks: 32,
        max_rows: 64,
        max_tokens: 512,
        max_positions: 4096,
        vocab_size: 64,
        batch_invariant: true,
        weight_bytes: 1,
        kv_bytes: 2,
    };
    let ping = Call::Ping {
        answer: 0,
        payload: vec![1],
    };
    // An id is its 32 digits.
    let digits = format!("20{}31", "30".repeat(31));
    let claim = Call::Claim {
        model: "m".to_owned(),
        from: node,
    };
    let calls = [
        (ping, "0100000101".to_owned()),
        (
            Call::Load(order),
            format!("010101020301{digits}{digits}016d01660004102000c801"),
        ),
        (Call::Start(name), "0102010203".to_owned()),
        (Call::Unload(name), "0103010203".to_owned()),
        (claim, format!("0104016d{digits}")),
    ];
    for (call, bytes) in calls {
        let frame = wire::encode(&call).unwrap();
        assert_eq!(hex(&frame), bytes);
        assert_eq!(wire::decode::<Call>(&frame).unwrap(), call);
    }
    let reason = "no".to_owned();
    let answers = [
        (Answer::Pong { payload: vec![7] }, "01000107"),
        (Answer::Loaded(facts), "01011020408004802040010102"),
        (Answer::Done, "0102"),
        (Answer::Refused { reason }, "0103026e6f"),
        (Answer::Taken, "0104"),
    ];
    for (answer, bytes) in answers {
        let frame = wire::encode(&answer).unwrap();
        assert_eq!(hex(&frame), bytes);
        assert_eq!(wire::decode::<Answer>(&frame).unwrap(), answer);
    }
}

#[test]
fn what_is_written_is_read() {
    let commands = commands();
    let frame = wire::encode(&commands).unwrap();
    assert_eq!(wire::decode::<Commands>(&frame).unwrap(), commands);
    for reply in replies() {
        let frame = wire::encode(&reply).unwrap();
        assert_eq!(wire::decode::<Reply>(&frame).unwrap(), reply);
    }
    for precision in [Precision::F32, Precision::Bf16] {
        let frame = hidden().encode(precision).unwrap();
        assert_eq!(Hidden::decode(&frame).unwrap(), hidden());
    }
}

#[test]
fn another_version_is_named_and_not_guessed_at() {
    let mut frame = wire::encode(&commands()).unwrap();
    frame[0] = 2;
    let error = wire::decode::<Commands>(&frame).unwrap_err();
    assert_eq!(error, WireError::Version { theirs: 2 });
    assert!(error.to_string().contains("version 2"), "{error}");
    assert_eq!(Hidden::decode(&[]).unwrap_err(), WireError::Empty);
}

#[test]
fn cut_or_lengthened_frames_are_refused() {
    let frame = wire::encode(&commands()).unwrap();
    let hidden = hidden().encode(Precision::F32).unwrap();
    for len in 0..frame.len() {
        assert!(wire::decode::<Commands>(&frame[..len]).is_err());
    }
    for len in 0..hidden.len() {
        assert!(Hidden::decode(&hidden[..len]).is_err());
    }
    let longer = |frame: &[u8]| [frame, &[0]].concat();
    assert!(wire::decode::<Commands>(&longer(&frame)).is_err());
    assert!(Hidden::decode(&longer(&hidden)).is_err());
}

#[test]
fn a_small_frame_cannot_ask_for_much_memory() {
    // Epoch, step, precision, then four thousand million rows, no faults, no numbers.
    let rows = [VERSION, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0];
    assert!(matches!(
        Hidden::decode(&rows),
        Err(WireError::Malformed(_))
    ));
    // A list of commands that claims to be longer than memory.
    let list = [VERSION, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    assert!(wire::decode::<Commands>(&list).is_err());
}

#[test]
fn sampling_from_another_machine_is_checked() {
    // Executors rely on the ranges; a stage hears them from the network.
    let bad = Sampling {
        temperature: f32::NAN,
        ..Sampling::from(&SamplingParams::default())
    };
    assert!(bad.into_engine(10).is_err());
    let bias = Sampling {
        logit_bias: vec![(10, 1.0)],
        ..Sampling::from(&SamplingParams::default())
    };
    assert!(bias.into_engine(10).is_err());
}
