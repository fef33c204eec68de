//! `strftime_now`: today's date in a prompt, as Python's `datetime.now().strftime` writes it.
//!
//! In UTC: two machines of one cluster must write the same prompt for the same request.

use std::time::{Duration, SystemTime};

const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A moment split into the parts of a calendar.
struct Calendar {
    year: i64,
    /// From 0.
    month: usize,
    /// From 1.
    day: i64,
    /// From 1.
    day_of_year: i64,
    /// From Sunday = 0.
    weekday: usize,
    second_of_day: i64,
}

/// `format` with the directives of C's strftime that do not depend on a locale; others stay as they
/// are written.
pub(super) fn strftime(format: &str, now: SystemTime) -> String {
    let since_epoch = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let calendar = Calendar::new(i64::try_from(since_epoch.as_secs()).unwrap_or(0));
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(char) = chars.next() {
        if char != '%' {
            out.push(char);
            continue;
        }
        match chars.next() {
            // glibc's "-" takes the padding away.
            Some('-') => match chars.next() {
                Some(directive) => out.push_str(without_padding(&calendar.directive(directive))),
                None => out.push_str("%-"),
            },
            Some(directive) => out.push_str(&calendar.directive(directive)),
            None => out.push('%'),
        }
    }
    out
}

fn without_padding(text: &str) -> &str {
    match text.trim_start_matches('0') {
        "" => "0",
        rest => rest,
    }
}

impl Calendar {
    /// Days to a date in the proleptic Gregorian calendar: whole 400-year cycles counted from
    /// 1 March, so that the leap day comes last.
    fn new(seconds: i64) -> Self {
        let days = seconds.div_euclid(86_400);
        let shifted = days + 719_468;
        let cycle = shifted.div_euclid(146_097);
        let day_of_cycle = shifted.rem_euclid(146_097);
        let year_of_cycle = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524
            - day_of_cycle / 146_096)
            / 365;
        let day_from_march =
            day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
        let month_from_march = (5 * day_from_march + 2) / 153;
        let day = day_from_march - (153 * month_from_march + 2) / 5 + 1;
        let month = (month_from_march + 2) % 12;
        let year = cycle * 400 + year_of_cycle + i64::from(month < 2);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        let month = usize::try_from(month).unwrap_or(0);
        let day_of_year =
            before.get(month).copied().unwrap_or(0) + day + i64::from(leap && month > 1);
        Self {
            year,
            month,
            day,
            day_of_year,
            weekday: usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0),
            second_of_day: seconds.rem_euclid(86_400),
        }
    }

    fn directive(&self, directive: char) -> String {
        let (hour, minute, second) = (
            self.second_of_day / 3_600,
            self.second_of_day / 60 % 60,
            self.second_of_day % 60,
        );
        let weekday = WEEKDAYS.get(self.weekday).copied().unwrap_or("");
        let month = MONTHS.get(self.month).copied().unwrap_or("");
        let short = |name: &str| name.chars().take(3).collect();
        let month_number = self.month + 1;
        match directive {
            'Y' => self.year.to_string(),
            'y' => format!("{:02}", self.year.rem_euclid(100)),
            'm' => format!("{month_number:02}"),
            'd' => format!("{:02}", self.day),
            'e' => format!("{:2}", self.day),
            'j' => format!("{:03}", self.day_of_year),
            'H' => format!("{hour:02}"),
            'I' => format!("{:02}", (hour + 11) % 12 + 1),
            'M' => format!("{minute:02}"),
            'S' => format!("{second:02}"),
            'p' => if hour < 12 { "AM" } else { "PM" }.to_owned(),
            'A' => weekday.to_owned(),
            'a' => short(weekday),
            'B' => month.to_owned(),
            'b' | 'h' => short(month),
            'w' => self.weekday.to_string(),
            'F' => format!("{}-{month_number:02}-{:02}", self.year, self.day),
            'T' => format!("{hour:02}:{minute:02}:{second:02}"),
            'D' => format!(
                "{month_number:02}/{:02}/{:02}",
                self.day,
                self.year.rem_euclid(100)
            ),
            'R' => format!("{hour:02}:{minute:02}"),
            'z' => "+0000".to_owned(),
            'Z' => "UTC".to_owned(),
            '%' => "%".to_owned(),
            other => format!("%{other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected texts are CPython's for the same moments in UTC.
    #[test]
    fn dates_as_python_writes_them() {
        for (seconds, expected) in [
            (0, "Thu 01 January 1970 001 00:00:00 AM 12"),
            (951_827_696, "Tue 29 February 2000 060 12:34:56 PM 12"),
            (1_767_225_599, "Wed 31 December 2025 365 23:59:59 PM 11"),
            (4_107_542_400, "Mon 01 March 2100 060 00:00:00 AM 12"),
        ] {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(strftime("%a %d %B %Y %j %H:%M:%S %p %I", now), expected);
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(951_827_696);
        assert_eq!(strftime("%-d %b %y 100%% %q %", now), "29 Feb 00 100% %q %");
    }
}
