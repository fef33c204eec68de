//! Credentials.

use super::check;

#[test]
fn secrets() {
    check(&[
        (
            "AKIAQYLPMN5HHHFPZAM2",
            &["AWS_ACCESS_KEY=AKIAQYLPMN5HHHFPZAM2"],
        ),
        ("AKIAIOSFODNN7EXAMPLE", &[]),
        (
            "aws_secret_access_key = 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",
            &["AWS_SECRET_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYz0q1w2e3r4"],
        ),
        (
            "token ghp_0123456789abcdefghijABCDEFGHIJ012345 ok",
            &["GITHUB_TOKEN=ghp_0123456789abcdefghijABCDEFGHIJ012345"],
        ),
        (
            "glpat-a1B2c3D4e5F6g7H8i9J0",
            &["GITLAB_TOKEN=glpat-a1B2c3D4e5F6g7H8i9J0"],
        ),
        (
            "xoxb-123456789012-123456789012-abcdefABCDEF123456789012",
            &["SLACK_TOKEN=xoxb-123456789012-123456789012-abcdefABCDEF123456789012"],
        ),
        (
            "sk_test_4eC39HqLyjWDarjtT1zdp7dc",
            &["STRIPE_KEY=sk_test_4eC39HqLyjWDarjtT1zdp7dc"],
        ),
        (
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl.",
            &["JWT=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"],
        ),
        (
            "x -----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY----- y",
            &[
                "PRIVATE_KEY=-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----",
            ],
        ),
        ("password: Tr0ub4dor&3", &["GENERIC_SECRET=Tr0ub4dor&3"]),
        (
            "{\"api_key\": \"9f8e7d6c5b4a39281706\"}",
            &["GENERIC_SECRET=9f8e7d6c5b4a39281706"],
        ),
        (
            "mot de passe : Xk9#mPq2$vL",
            &["GENERIC_SECRET=Xk9#mPq2$vL"],
        ),
        (
            "password: required, token = get_token(), API_KEY=${API_KEY}, secret: changeme",
            &[],
        ),
        ("well-known self-test sk-learn state-of-the-art", &[]),
        (
            "curl -s -u admin:S3cretPass https://x.example/ -u 'bob:pw-12'",
            &["GENERIC_SECRET=S3cretPass", "GENERIC_SECRET=pw-12"],
        ),
        (
            "curl -u admin:$PASSWORD x\ndocker run -u node:node y\ncurl -u https://x.example/",
            &[],
        ),
        (
            "{\\\"db\\\":\\\"jdbc:mysql://h:3306/db?user=root&password=nowYUjn0VLPEUQlm\\\"}",
            &["URL_CREDENTIALS=nowYUjn0VLPEUQlm"],
        ),
        (
            "{\\\"auth_token\\\":\\\"01R7I9CQQm8i6F3o\\\"}",
            &["GENERIC_SECRET=01R7I9CQQm8i6F3o"],
        ),
        (
            "glpat-l8K7aKCOdgUVTCHLQqE- and glpat-a1B2c3D4e5F6g7H8i9J0.",
            &[
                "GITLAB_TOKEN=glpat-l8K7aKCOdgUVTCHLQqE-",
                "GITLAB_TOKEN=glpat-a1B2c3D4e5F6g7H8i9J0",
            ],
        ),
        (
            "eyJrIjoiMnRPQkNWUGNlbzRmY1lhVkJvUlU5QjdsdWdMSUdDb0wiLCJuIjoiZ3JhZmFuYS1weXlhZyIsImlkIjoxfQ==",
            &[
                "API_KEY=eyJrIjoiMnRPQkNWUGNlbzRmY1lhVkJvUlU5QjdsdWdMSUdDb0wiLCJuIjoiZ3JhZmFuYS1weXlhZyIsImlkIjoxfQ==",
            ],
        ),
    ]);
}
