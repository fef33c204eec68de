//! Dates as wire formats spell them, from the times the host gives.

use std::time::Duration;

/// Unix seconds as RFC 3339 in UTC, such as `2026-11-24T00:00:00Z`. The calendar is Howard Hinnant's
/// `civil_from_days`, exact for every year.
#[must_use]
pub fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Time since 1970 as RFC 3339 in UTC with milliseconds, such as `2026-11-24T00:00:00.250Z`.
#[must_use]
pub fn rfc3339_millis(since_epoch: Duration) -> String {
    let whole = rfc3339(since_epoch.as_secs());
    let seconds = whole.trim_end_matches('Z');
    format!("{seconds}.{:03}Z", since_epoch.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_rfc_3339() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(rfc3339(1_795_478_400), "2026-11-24T00:00:00Z");
        let later = Duration::new(1_795_478_400, 7_999_999);
        assert_eq!(rfc3339_millis(later), "2026-11-24T00:00:00.007Z");
    }
}
