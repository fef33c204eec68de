//! The numbering plan: calling codes with the lengths of national numbers, and what first digits say.

use super::super::checks::number;

/// Calling code, shortest, longest national significant number.
const CODES: &[(u16, u8, u8)] = &[
    (1, 10, 10),
    (7, 10, 10),
    (20, 8, 10),
    (27, 9, 9),
    (30, 10, 10),
    (31, 9, 9),
    (32, 8, 9),
    (33, 9, 9),
    (34, 9, 9),
    (36, 8, 9),
    (39, 6, 11),
    (40, 9, 9),
    (41, 9, 9),
    (43, 7, 13),
    (44, 9, 10),
    (45, 8, 8),
    (46, 7, 10),
    (47, 8, 8),
    (48, 9, 9),
    (49, 7, 12),
    (51, 8, 9),
    (52, 10, 10),
    (53, 8, 8),
    (54, 10, 11),
    (55, 10, 11),
    (56, 9, 9),
    (57, 10, 10),
    (58, 10, 10),
    (60, 8, 10),
    (61, 9, 9),
    (62, 8, 12),
    (63, 8, 10),
    (64, 8, 10),
    (65, 8, 8),
    (66, 8, 9),
    (81, 9, 10),
    (82, 8, 10),
    (84, 9, 10),
    (86, 10, 11),
    (90, 10, 10),
    (91, 10, 10),
    (92, 9, 10),
    (93, 9, 9),
    (94, 9, 9),
    (95, 7, 10),
    (98, 10, 10),
    (211, 9, 9),
    (212, 9, 9),
    (213, 8, 9),
    (216, 8, 8),
    (218, 8, 9),
    (220, 7, 7),
    (221, 9, 9),
    (222, 8, 8),
    (223, 8, 8),
    (224, 8, 9),
    (225, 10, 10),
    (226, 8, 8),
    (227, 8, 8),
    (228, 8, 8),
    (229, 8, 10),
    (230, 7, 8),
    (231, 7, 9),
    (232, 8, 8),
    (233, 9, 9),
    (234, 8, 10),
    (235, 8, 8),
    (236, 8, 8),
    (237, 8, 9),
    (238, 7, 7),
    (239, 7, 7),
    (240, 9, 9),
    (241, 7, 8),
    (242, 9, 9),
    (243, 7, 9),
    (244, 9, 9),
    (245, 7, 9),
    (248, 7, 7),
    (249, 9, 9),
    (250, 8, 9),
    (251, 9, 9),
    (252, 7, 9),
    (253, 8, 8),
    (254, 9, 10),
    (255, 9, 9),
    (256, 9, 9),
    (257, 8, 8),
    (258, 8, 9),
    (260, 9, 9),
    (261, 9, 9),
    (262, 9, 9),
    (263, 8, 9),
    (264, 8, 9),
    (265, 7, 9),
    (266, 8, 8),
    (267, 7, 8),
    (268, 8, 8),
    (269, 7, 7),
    (290, 4, 5),
    (291, 7, 7),
    (297, 7, 7),
    (298, 6, 6),
    (299, 6, 6),
    (350, 8, 8),
    (351, 9, 9),
    (352, 6, 11),
    (353, 7, 10),
    (354, 7, 9),
    (355, 8, 9),
    (356, 8, 8),
    (357, 8, 8),
    (358, 6, 11),
    (359, 7, 9),
    (370, 8, 8),
    (371, 8, 8),
    (372, 7, 8),
    (373, 8, 8),
    (374, 8, 8),
    (375, 9, 10),
    (376, 6, 9),
    (377, 8, 9),
    (378, 6, 10),
    (380, 9, 9),
    (381, 7, 9),
    (382, 8, 9),
    (383, 8, 9),
    (385, 8, 9),
    (386, 8, 8),
    (387, 8, 9),
    (389, 8, 8),
    (420, 9, 9),
    (421, 9, 9),
    (423, 7, 9),
    (501, 7, 7),
    (502, 8, 8),
    (503, 8, 8),
    (504, 8, 8),
    (505, 8, 8),
    (506, 8, 8),
    (507, 7, 8),
    (509, 8, 8),
    (590, 9, 9),
    (591, 8, 8),
    (592, 7, 7),
    (593, 8, 9),
    (594, 9, 9),
    (595, 9, 9),
    (596, 9, 9),
    (597, 6, 7),
    (598, 8, 8),
    (599, 7, 8),
    (670, 7, 8),
    (673, 7, 7),
    (674, 7, 7),
    (675, 7, 8),
    (676, 5, 7),
    (677, 5, 7),
    (678, 5, 7),
    (679, 7, 7),
    (680, 7, 7),
    (682, 5, 5),
    (685, 5, 7),
    (687, 6, 6),
    (689, 8, 8),
    (691, 7, 7),
    (692, 7, 7),
    (850, 8, 10),
    (852, 8, 8),
    (853, 8, 8),
    (855, 8, 9),
    (856, 8, 10),
    (880, 8, 10),
    (886, 8, 9),
    (960, 7, 7),
    (961, 7, 8),
    (962, 8, 9),
    (963, 8, 9),
    (964, 8, 10),
    (965, 8, 8),
    (966, 9, 9),
    (967, 7, 9),
    (968, 8, 8),
    (970, 8, 9),
    (971, 8, 9),
    (972, 8, 9),
    (973, 8, 8),
    (974, 8, 8),
    (975, 7, 8),
    (976, 8, 8),
    (977, 8, 10),
    (992, 9, 9),
    (993, 8, 8),
    (994, 9, 9),
    (995, 9, 9),
    (996, 9, 9),
    (998, 9, 9),
];

/// Splits off the calling code of digits that follow a `+`.
pub(super) fn calling_code(d: &[u8]) -> Option<(u16, u8, u8, usize)> {
    (1..=3).find_map(|n| {
        let code = u16::try_from(number(d.get(..n)?)).ok()?;
        let i = CODES.binary_search_by_key(&code, |c| c.0).ok()?;
        Some((CODES[i].0, CODES[i].1, CODES[i].2, n))
    })
}

/// Whether a number written as international has a North American area code. Exchanges are not checked:
/// made-up ones are common, and mean a telephone all the same.
fn north_american(n: &[u8]) -> bool {
    n.len() == 10 && (b'2'..=b'9').contains(&n[0]) && !(n[1] == b'1' && n[2] == b'1')
}

/// Area code and exchange of a North American number.
pub(super) fn nanp(n: &[u8]) -> bool {
    n.len() == 10
        && (b'2'..=b'9').contains(&n[0])
        && (b'2'..=b'9').contains(&n[3])
        && !(n[1] == b'1' && n[2] == b'1')
        && !(n[4] == b'1' && n[5] == b'1')
}

/// What a first digit or two say about a national number, where a length alone says little.
pub(super) fn plausible(code: u16, n: &[u8]) -> bool {
    let Some(&first) = n.first() else {
        return false;
    };
    let second = n.get(1).copied().unwrap_or(0);
    match code {
        1 => north_american(n),
        7 => matches!(first, b'3' | b'4' | b'6'..=b'9'),
        20 => match n.len() {
            10 => first == b'1' && matches!(second, b'0' | b'1' | b'2' | b'5'),
            _ => matches!(first, b'2'..=b'9'),
        },
        27 => first != b'0',
        33 => matches!(first, b'1'..=b'9'),
        34 => matches!(first, b'5'..=b'9'),
        44 => matches!(first, b'1' | b'2' | b'3' | b'5' | b'7' | b'8' | b'9'),
        91 => matches!(first, b'1'..=b'9'),
        212 => matches!(first, b'5'..=b'9'),
        213 => {
            if n.len() == 9 {
                matches!(first, b'5'..=b'7' | b'9')
            } else {
                matches!(first, b'1'..=b'4' | b'8' | b'9')
            }
        }
        216 => matches!(first, b'2'..=b'9'),
        966 => matches!(first, b'5' | b'1' | b'8' | b'9'),
        971 => {
            if n.len() == 9 {
                first == b'5' || first == b'8'
            } else {
                matches!(first, b'2'..=b'9')
            }
        }
        962 => {
            if n.len() == 9 {
                first == b'7' || first == b'8' || first == b'9'
            } else {
                matches!(first, b'2'..=b'8')
            }
        }
        965 => matches!(first, b'1'..=b'9'),
        968 => matches!(first, b'2' | b'7' | b'8' | b'9'),
        973 => matches!(first, b'1' | b'3' | b'6' | b'7' | b'8' | b'9'),
        974 => matches!(first, b'2'..=b'8'),
        // Italian numbers keep their leading zero.
        39 | 225 | 241 | 242 => true,
        _ => first != b'0',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted() {
        assert!(CODES.windows(2).all(|w| w[0].0 < w[1].0));
        assert_eq!(calling_code(b"21620123456"), Some((216, 8, 8, 3)));
        assert_eq!(calling_code(b"999123"), None);
    }
}
