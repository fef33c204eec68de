//! Credentials among the options of commands: `curl -u name:password`, `sshpass -p password`.

use super::super::entity::Entity;
use super::super::net::placeholder;
use super::super::scan::Scanner;
use super::find;

/// Commands and the option that takes their password: short options mean something else elsewhere.
const OPTIONS: &[(&[u8], &[u8])] = &[
    (b"sshpass", b"-p"),
    (b"docker login", b"-p"),
    (b"podman login", b"-p"),
    (b"redis-cli", b"-a"),
    (b"mongo", b"-p"),
    (b"mongosh", b"-p"),
    (b"mongodump", b"-p"),
    (b"mysql", b"-p"),
    (b"mysqldump", b"-p"),
    (b"mysqladmin", b"-p"),
    (b"mariadb", b"-p"),
    (b"ldapsearch", b"-w"),
    (b"ldapmodify", b"-w"),
    (b"plink", b"-pw"),
    (b"pscp", b"-pw"),
    (b"sqlcmd", b"-P"),
    (b"helm registry login", b"-p"),
    (b"az login", b"-p"),
];

/// How far back a command is looked for in its line.
const LINE: usize = 200;

impl Scanner<'_> {
    /// The password at `a`, if it is the value of a command's option for one; returns its end.
    pub(in super::super) fn option(&mut self, a: usize) -> Option<usize> {
        let s = self.s;
        let edge = match self.before(a) {
            b'"' | b'\'' => a - 1,
            _ => a,
        };
        if !s[edge.saturating_sub(4)..edge].contains(&b'-') {
            return None;
        }
        let floor = edge.saturating_sub(LINE);
        let line = s[floor..edge].rsplit(|&b| b == b'\n').next()?;
        // `-p SECRET`, `mysql -pSECRET`, `mysql -p'SECRET'`.
        let (options, from, glued) = if let Some(options) = line.strip_suffix(b" ") {
            (options.trim_ascii_end(), a, false)
        } else if edge < a && line.ends_with(b" -p") {
            (line, a, true)
        } else if edge == a && s[a] == b'p' && line.ends_with(b" -") {
            (&s[edge - line.len()..=edge], a + 1, true)
        } else {
            return None;
        };
        let (command, _) = OPTIONS.iter().find(|(command, option)| {
            options
                .strip_suffix(*option)
                .is_some_and(|before| before.ends_with(b" ") && find(before, command).is_some())
        })?;
        // With a space behind it `mysql -p` asks, and the word is a database.
        let asks = command.starts_with(b"mysql") || command.starts_with(b"maria");
        if asks != glued {
            return None;
        }
        let quoted = matches!(self.before(from), b'"' | b'\'');
        let value = &s[from..];
        let n = value
            .iter()
            .take(200)
            .take_while(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'`'))
            .count();
        let value = &value[..n];
        let chosen = n >= 6 || quoted && n >= 4;
        if !chosen || placeholder(value) || value.iter().all(u8::is_ascii_digit) && n < 6 {
            return None;
        }
        self.put(from, from + n, Entity::GenericSecret, 85, true);
        Some(from + n)
    }

    /// The password of `curl -u name:password`, around the `:` at `at`.
    pub(in super::super) fn curl_user(&mut self, at: usize) -> Option<usize> {
        let s = self.s;
        let part = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'`');
        let name = s[..at]
            .iter()
            .rev()
            .take(40)
            .take_while(|b| part(b))
            .count();
        let line = &s[at.saturating_sub(200)..at - name];
        let line = line.rsplit(|&b| b == b'\n').next().unwrap_or_default();
        let option = line.trim_ascii_end();
        let option = option
            .strip_suffix(b"\"")
            .or_else(|| option.strip_suffix(b"'"))
            .unwrap_or(option);
        let option = option.trim_ascii_end();
        let asked = option.ends_with(b" -u") || option.ends_with(b" --user");
        if name == 0 || !asked || find(line, b"curl").is_none() {
            return None;
        }
        let n = s[at + 1..].iter().take(200).take_while(|b| part(b)).count();
        let value = &s[at + 1..at + 1 + n];
        if n < 4 || placeholder(value) {
            return None;
        }
        self.put(at + 1, at + 1 + n, Entity::GenericSecret, 85, true);
        Some(at + 1 + n)
    }
}
