//! What vendors' credentials begin with, and the characters that follow.

use super::super::entity::Entity;

/// A prefix and the run of characters that must follow it.
pub(super) struct Rule {
    pub prefix: &'static [u8],
    /// Fewest and most characters after the prefix.
    pub len: (usize, usize),
    pub set: Set,
    /// What it is.
    pub entity: Entity,
}

#[derive(Clone, Copy)]
pub(super) enum Set {
    /// `[A-Z2-7]`
    Base32,
    /// `[A-Za-z0-9]`
    Alnum,
    /// `[A-Za-z0-9_-]`
    Url,
    /// `[A-Za-z0-9_.-]`
    Dotted,
    /// `[A-Za-z0-9+/=]`
    Base64,
    Hex,
}

impl Set {
    pub(super) const fn has(self, b: u8) -> bool {
        match self {
            Set::Base32 => matches!(b, b'A'..=b'Z' | b'2'..=b'7'),
            Set::Alnum => b.is_ascii_alphanumeric(),
            Set::Url => b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'),
            Set::Dotted => b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'),
            Set::Base64 => b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='),
            Set::Hex => b.is_ascii_hexdigit(),
        }
    }
}

const fn rule(prefix: &'static str, min: usize, max: usize, set: Set, entity: Entity) -> Rule {
    Rule {
        prefix: prefix.as_bytes(),
        len: (min, max),
        set,
        entity,
    }
}

/// Sorted by first byte, so that a word is compared with the few rules it can match.
pub(super) static RULES: &[Rule] = &[
    rule("AKIA", 16, 16, Set::Base32, Entity::AwsAccessKey),
    rule("ASIA", 16, 16, Set::Base32, Entity::AwsAccessKey),
    rule("ABIA", 16, 16, Set::Base32, Entity::AwsAccessKey),
    rule("ACCA", 16, 16, Set::Base32, Entity::AwsAccessKey),
    rule("A3T", 17, 17, Set::Alnum, Entity::AwsAccessKey),
    rule("AIza", 35, 35, Set::Url, Entity::GoogleApiKey),
    rule("AGE-SECRET-KEY-1", 58, 58, Set::Alnum, Entity::PrivateKey),
    rule("ABSK", 100, 160, Set::Base64, Entity::ApiKey),
    rule("A3-", 30, 50, Set::Url, Entity::ApiKey),
    rule("EAACEdEose0cBA", 20, 300, Set::Alnum, Entity::ApiKey),
    rule("GOCSPX-", 28, 28, Set::Url, Entity::GoogleApiKey),
    rule("NRAK-", 27, 27, Set::Alnum, Entity::ApiKey),
    rule("PMAK-", 59, 59, Set::Url, Entity::ApiKey),
    rule("SG.", 60, 70, Set::Dotted, Entity::SendgridKey),
    rule("SK", 32, 32, Set::Hex, Entity::ApiKey),
    rule("dapi", 32, 34, Set::Url, Entity::ApiKey),
    rule("dckr_pat_", 20, 40, Set::Url, Entity::ApiKey),
    rule("doo_v1_", 64, 64, Set::Hex, Entity::ApiKey),
    rule("dop_v1_", 64, 64, Set::Hex, Entity::ApiKey),
    rule("dor_v1_", 64, 64, Set::Hex, Entity::ApiKey),
    rule("dp.pt.", 40, 44, Set::Alnum, Entity::ApiKey),
    rule("dp.st.", 40, 80, Set::Dotted, Entity::ApiKey),
    // Grafana before service accounts: base64 of `{"k":"...`.
    rule("eyJrIjoi", 70, 400, Set::Base64, Entity::ApiKey),
    rule("figd_", 40, 44, Set::Url, Entity::ApiKey),
    rule("ghp_", 36, 36, Set::Alnum, Entity::GithubToken),
    rule("gho_", 36, 36, Set::Alnum, Entity::GithubToken),
    rule("ghu_", 36, 36, Set::Alnum, Entity::GithubToken),
    rule("ghs_", 36, 36, Set::Alnum, Entity::GithubToken),
    rule("ghr_", 36, 76, Set::Alnum, Entity::GithubToken),
    rule("github_pat_", 82, 82, Set::Url, Entity::GithubToken),
    rule("glpat-", 20, 60, Set::Dotted, Entity::GitlabToken),
    rule("glptt-", 40, 40, Set::Url, Entity::GitlabToken),
    rule("gldt-", 20, 20, Set::Url, Entity::GitlabToken),
    rule("glrt-", 20, 50, Set::Dotted, Entity::GitlabToken),
    rule("glcbt-", 20, 40, Set::Url, Entity::GitlabToken),
    rule("glc_", 32, 400, Set::Base64, Entity::ApiKey),
    rule("glsa_", 41, 41, Set::Url, Entity::ApiKey),
    rule("gsk_", 52, 52, Set::Alnum, Entity::ApiKey),
    rule("hf_", 30, 40, Set::Alnum, Entity::HuggingfaceToken),
    rule("hvb.", 130, 300, Set::Url, Entity::ApiKey),
    rule("hvs.", 24, 120, Set::Url, Entity::ApiKey),
    rule("key-", 32, 32, Set::Hex, Entity::ApiKey),
    rule("lin_api_", 40, 40, Set::Alnum, Entity::ApiKey),
    rule("npm_", 36, 36, Set::Alnum, Entity::NpmToken),
    rule("nvapi-", 60, 70, Set::Url, Entity::ApiKey),
    rule("ntn_", 43, 50, Set::Alnum, Entity::ApiKey),
    rule("ops_eyJ", 150, 2000, Set::Base64, Entity::ApiKey),
    rule("pk_live_", 10, 120, Set::Alnum, Entity::StripeKey),
    rule("pplx-", 48, 48, Set::Alnum, Entity::ApiKey),
    rule("pul-", 40, 40, Set::Hex, Entity::ApiKey),
    rule(
        "pypi-AgEIcHlwaS5vcmc",
        50,
        1000,
        Set::Url,
        Entity::PypiToken,
    ),
    rule("r8_", 37, 37, Set::Url, Entity::ApiKey),
    rule("rk_live_", 10, 120, Set::Alnum, Entity::StripeKey),
    rule("rk_prod_", 10, 120, Set::Alnum, Entity::StripeKey),
    rule("rk_test_", 10, 120, Set::Alnum, Entity::StripeKey),
    rule("rubygems_", 48, 48, Set::Hex, Entity::ApiKey),
    rule("secret_", 43, 43, Set::Alnum, Entity::ApiKey),
    rule("shpat_", 32, 32, Set::Hex, Entity::ApiKey),
    rule("shpca_", 32, 32, Set::Hex, Entity::ApiKey),
    rule("shppa_", 32, 32, Set::Hex, Entity::ApiKey),
    rule("shpss_", 32, 32, Set::Hex, Entity::ApiKey),
    rule("sk-ant-", 60, 140, Set::Url, Entity::AnthropicKey),
    rule("sk-or-v1-", 64, 64, Set::Hex, Entity::ApiKey),
    rule("sk-proj-", 20, 200, Set::Url, Entity::OpenaiKey),
    rule("sk-svcacct-", 20, 200, Set::Url, Entity::OpenaiKey),
    rule("sk-admin-", 20, 200, Set::Url, Entity::OpenaiKey),
    rule("sk-", 32, 64, Set::Alnum, Entity::OpenaiKey),
    rule("sk_live_", 10, 120, Set::Alnum, Entity::StripeKey),
    rule("sk_prod_", 10, 120, Set::Alnum, Entity::StripeKey),
    rule("sk_test_", 10, 120, Set::Alnum, Entity::StripeKey),
    rule("sntrys_", 60, 300, Set::Base64, Entity::ApiKey),
    rule("sntryu_", 64, 64, Set::Hex, Entity::ApiKey),
    rule("tskey-", 20, 70, Set::Url, Entity::ApiKey),
    rule("whsec_", 32, 64, Set::Base64, Entity::StripeKey),
    rule("xai-", 80, 80, Set::Alnum, Entity::ApiKey),
    rule("xapp-", 20, 160, Set::Url, Entity::SlackToken),
    rule("xoxa-", 20, 120, Set::Url, Entity::SlackToken),
    rule("xoxb-", 20, 120, Set::Url, Entity::SlackToken),
    rule("xoxe-", 20, 250, Set::Url, Entity::SlackToken),
    rule("xoxe.xox", 20, 250, Set::Dotted, Entity::SlackToken),
    rule("xoxp-", 20, 120, Set::Url, Entity::SlackToken),
    rule("xoxr-", 20, 120, Set::Url, Entity::SlackToken),
    rule("xoxs-", 20, 120, Set::Url, Entity::SlackToken),
    rule("ya29.", 30, 500, Set::Url, Entity::GoogleApiKey),
];

/// First rule of each first byte; `RULES.len()` where there is none.
pub(super) static FIRST: [u8; 128] = {
    let mut t = [RULES.len() as u8; 128];
    let mut i = RULES.len();
    while i > 0 {
        i -= 1;
        t[RULES[i].prefix[0] as usize] = i as u8;
    }
    t
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_grouped_by_first_byte() {
        assert!(RULES.windows(2).all(|w| w[0].prefix[0] <= w[1].prefix[0]));
        assert!(RULES.len() < 128);
    }
}
