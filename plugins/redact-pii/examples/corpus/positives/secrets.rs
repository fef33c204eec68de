//! Credentials.

use super::Style::Exact;
use super::values::*;
use super::{Case, case};

/// Entities, labels and values.
pub const CASES: &[Case] = &[
    case(
        "URL_CREDENTIALS",
        |r| r.chars(ALNUM, 14),
        &[],
        &[],
        &[],
        false,
        Exact,
    ),
    case(
        "AWS_ACCESS_KEY",
        |r| {
            format!(
                "{}{}",
                r.pick(&["AKIA", "ASIA"]),
                r.chars("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)
            )
        },
        &["access key"],
        &["clé d'accès"],
        &["مفتاح"],
        true,
        Exact,
    ),
    case(
        "GITHUB_TOKEN",
        |r| {
            format!(
                "{}{}",
                r.pick(&["ghp_", "gho_", "ghs_"]),
                r.chars(ALNUM, 36)
            )
        },
        &["token"],
        &["jeton"],
        &["الرمز"],
        true,
        Exact,
    ),
    case(
        "GITLAB_TOKEN",
        |r| format!("glpat-{}", r.chars(ALNUM, 20)),
        &["token"],
        &["jeton"],
        &["الرمز"],
        true,
        Exact,
    ),
    case(
        "SLACK_TOKEN",
        |r| {
            format!(
                "xoxb-{}-{}-{}",
                r.digits(12),
                r.digits(12),
                r.chars(ALNUM, 24)
            )
        },
        &["bot token"],
        &["jeton Slack"],
        &["الرمز"],
        true,
        Exact,
    ),
    case(
        "STRIPE_KEY",
        |r| {
            format!(
                "{}{}",
                r.pick(&["sk_live_", "sk_test_", "rk_live_"]),
                r.chars(ALNUM, 24)
            )
        },
        &["Stripe key"],
        &["clé Stripe"],
        &["مفتاح"],
        true,
        Exact,
    ),
    case(
        "OPENAI_API_KEY",
        |r| {
            format!(
                "sk-proj-{}T3BlbkFJ{}",
                r.chars(ALNUM, 20),
                r.chars(ALNUM, 20)
            )
        },
        &["key"],
        &["clé"],
        &["مفتاح"],
        true,
        Exact,
    ),
    case(
        "ANTHROPIC_API_KEY",
        |r| format!("sk-ant-api03-{}AA", r.chars(ALNUM, 93)),
        &["key"],
        &["clé"],
        &["مفتاح"],
        true,
        Exact,
    ),
    case(
        "GOOGLE_API_KEY",
        |r| format!("AIza{}", r.chars(ALNUM, 35)),
        &["key"],
        &["clé"],
        &["مفتاح"],
        true,
        Exact,
    ),
    case(
        "HUGGINGFACE_TOKEN",
        |r| format!("hf_{}", r.chars(ALNUM, 34)),
        &["token"],
        &["jeton"],
        &["الرمز"],
        true,
        Exact,
    ),
    case(
        "JWT",
        |r| {
            format!(
                "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI{}.{}",
                r.chars(ALNUM, 12),
                r.chars(ALNUM, 43)
            )
        },
        &["token"],
        &["jeton"],
        &["الرمز"],
        true,
        Exact,
    ),
    case(
        "GENERIC_SECRET",
        |r| {
            format!(
                "{}{}{}",
                r.chars("ABCDEFGHJKLMNPQRSTUVWXYZ", 2),
                r.chars("abcdefghijkmnpqrstuvwxyz0123456789!#%", 9),
                r.digits(2)
            )
        },
        &[],
        &[],
        &[],
        false,
        Exact,
    ),
    case(
        "AWS_SECRET_KEY",
        |r| {
            r.chars(
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
                40,
            )
        },
        &["aws_secret_access_key"],
        &["aws secret key"],
        &["aws_secret_access_key"],
        false,
        Exact,
    ),
    case(
        "NPM_TOKEN",
        |r| format!("npm_{}", r.chars(ALNUM, 36)),
        &["token"],
        &["jeton"],
        &["الرمز"],
        true,
        Exact,
    ),
    case(
        "PYPI_TOKEN",
        |r| format!("pypi-AgEIcHlwaS5vcmc{}", r.chars(ALNUM, 70)),
        &["token"],
        &["jeton"],
        &["الرمز"],
        true,
        Exact,
    ),
    case(
        "SENDGRID_API_KEY",
        |r| format!("SG.{}.{}", r.chars(ALNUM, 22), r.chars(ALNUM, 43)),
        &["key"],
        &["clé"],
        &["المفتاح"],
        true,
        Exact,
    ),
    case(
        "API_KEY",
        |r| {
            let hex = "0123456789abcdef";
            match r.below(10) {
                0 => format!("dapi{}", r.chars(hex, 32)),
                1 => format!("dop_v1_{}", r.chars(hex, 64)),
                2 => format!("glsa_{}_{}", r.chars(ALNUM, 32), r.chars(hex, 8)),
                3 => format!("lin_api_{}", r.chars(ALNUM, 40)),
                4 => format!("pplx-{}", r.chars(ALNUM, 48)),
                5 => format!("PMAK-{}-{}", r.chars(hex, 24), r.chars(hex, 34)),
                6 => format!("shpat_{}", r.chars(hex, 32)),
                7 => format!("hvs.{}", r.chars(ALNUM, 90)),
                8 => format!("gsk_{}", r.chars(ALNUM, 52)),
                _ => format!("{}{}:AA{}", r.range(1, 9), r.digits(9), r.chars(ALNUM, 33)),
            }
        },
        &["API key", "key"],
        &["clé"],
        &["المفتاح"],
        true,
        Exact,
    ),
    case(
        "PRIVATE_KEY",
        |r| {
            format!(
                "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
                r.chars(ALNUM, 64)
            )
        },
        &["key"],
        &["clé"],
        &["المفتاح"],
        true,
        Exact,
    ),
];
