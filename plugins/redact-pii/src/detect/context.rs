//! Context: which words stand near a candidate, in English, French and Arabic.
//!
//! Words become bits of a [`Bits`] mask through one static hash table, so the lexicon costs nothing
//! until a candidate asks, and nothing at start-up. Words are compared folded: ASCII case, Latin
//! accents, Arabic letter variants, proclitics (و ف ب ل ك ال) and possessive endings.

/// A set of context kinds.
pub type Bits = u128;

macro_rules! kinds {
    ($($name:ident)*) => { kinds!(@ 0u32; $($name)*); };
    (@ $n:expr; $name:ident $($rest:ident)*) => {
        #[doc = concat!("Context kind `", stringify!($name), "`.")]
        pub const $name: Bits = 1 << ($n);
        kinds!(@ $n + 1; $($rest)*);
    };
    (@ $n:expr;) => {};
}

kinds! {
    CARD IBAN ACCOUNT ROUTING SWIFT PHONE BIRTH ID NATIONAL SSN ITIN TAX VAT COMPANY PASSPORT LICENSE
    HEALTH MEDICARE NHS NINO SIN NPI DEA IMEI IMSI VIN MACADDR WALLET MRZ ABA LANR
    US CA UK DE FR ES IT PL NL BE PT SE FI CH TR IN SG KR TH ZA NG PH AU IL
    TN SA AE EG MA DZ QA KW BH JO OM LB IQ
    CIN IQAMA CIVIL EID QID CPR NIN PESEL BSN NIR SIREN SIRET NIF NIE DNI CF BRN UEN NRIC TFN ABN ACN
    AADHAAR PAN MATRICULE RIB ICE CCP CR TRN AHV TCKN PERSONNR AWS VERSION NEG
}

/// Words and what they suggest. Arabic words are in folded form (ه for ة, ا for أ, ي for ى).
static WORDS: &[(&str, Bits)] = &[
    // Cards and accounts.
    ("card", CARD),
    ("cards", CARD),
    ("cc", CARD),
    ("visa", CARD),
    ("mastercard", CARD),
    ("amex", CARD),
    ("maestro", CARD),
    ("credit", CARD),
    ("debit", CARD),
    ("carte", CARD),
    ("bancaire", CARD | ACCOUNT),
    ("pan", CARD | PAN),
    ("mada", CARD),
    ("ائتمان", CARD),
    ("ائتمانيه", CARD),
    ("فيزا", CARD),
    ("مدي", CARD),
    ("بطاقه", CARD | ID),
    ("كارت", CARD),
    ("creditcard", CARD),
    ("cardnumber", CARD),
    ("ماستركارد", CARD),
    ("iban", IBAN),
    ("ايبان", IBAN),
    ("الايبان", IBAN),
    ("account", ACCOUNT),
    ("acct", ACCOUNT),
    ("compte", ACCOUNT),
    ("حساب", ACCOUNT),
    ("bank", ACCOUNT),
    ("banque", ACCOUNT),
    ("بنك", ACCOUNT),
    ("بنكي", ACCOUNT),
    ("مصرفي", ACCOUNT),
    ("konto", ACCOUNT),
    ("checking", ACCOUNT),
    ("savings", ACCOUNT),
    ("rib", RIB | ACCOUNT),
    ("ريب", RIB),
    ("routing", ROUTING | ABA),
    ("aba", ABA | ROUTING),
    ("rtn", ABA | ROUTING),
    ("swift", SWIFT),
    ("bic", SWIFT),
    ("سويفت", SWIFT),
    ("ccp", CCP | ACCOUNT),
    ("rip", CCP | ACCOUNT),
    ("بريدي", CCP),
    ("جاري", ACCOUNT),
    // Phones.
    ("phone", PHONE),
    ("telephone", PHONE),
    ("tel", PHONE),
    ("tél", PHONE),
    ("mobile", PHONE),
    ("cell", PHONE),
    ("call", PHONE),
    ("fax", PHONE),
    ("whatsapp", PHONE),
    ("sms", PHONE),
    ("portable", PHONE),
    ("gsm", PHONE),
    ("appeler", PHONE),
    ("appelez", PHONE),
    ("appelle", PHONE),
    ("joindre", PHONE),
    ("telefon", PHONE),
    ("telefono", PHONE),
    ("telefone", PHONE),
    ("handy", PHONE),
    ("numero", 0),
    ("هاتف", PHONE),
    ("جوال", PHONE),
    ("موبايل", PHONE),
    ("تلفون", PHONE),
    ("تليفون", PHONE),
    ("محمول", PHONE),
    ("اتصل", PHONE),
    ("واتساب", PHONE),
    ("واتس", PHONE),
    ("فاكس", PHONE),
    ("نقال", PHONE),
    ("dial", PHONE),
    ("contact", PHONE),
    ("reach", PHONE),
    ("text", PHONE),
    ("phonenumber", PHONE),
    ("ring", PHONE),
    // Birth.
    ("born", BIRTH),
    ("birth", BIRTH),
    ("dob", BIRTH),
    ("birthdate", BIRTH),
    ("birthday", BIRTH),
    ("naissance", BIRTH),
    ("né", BIRTH),
    ("née", BIRTH),
    ("ne(e)", BIRTH),
    ("ميلاد", BIRTH),
    ("مواليد", BIRTH),
    ("ولد", BIRTH),
    ("ولدت", BIRTH),
    ("مولود", BIRTH),
    ("مولوده", BIRTH),
    ("ولاده", BIRTH),
    ("مولد", BIRTH),
    ("geboren", BIRTH),
    ("geburtsdatum", BIRTH),
    ("nacimiento", BIRTH),
    ("nacido", BIRTH),
    ("nascita", BIRTH),
    ("anniversaire", BIRTH),
    ("nato", BIRTH),
    ("nata", BIRTH),
    ("dateofbirth", BIRTH),
    ("d.o.b", BIRTH),
    // Identity in general.
    ("id", ID),
    ("identity", ID),
    ("identification", ID),
    ("identifiant", ID),
    ("identité", ID | NATIONAL),
    ("national", NATIONAL | ID),
    ("nationale", NATIONAL | ID),
    ("nationality", 0),
    ("citizen", NATIONAL),
    ("هويه", ID | NATIONAL | SA),
    ("وطنيه", NATIONAL | ID),
    ("وطني", NATIONAL | ID),
    ("قومي", NATIONAL | ID | EG),
    ("قوميه", NATIONAL | ID),
    ("سجل", SA),
    ("مدني", CIVIL | SA),
    ("مدنيه", CIVIL | ID),
    ("شخصي", QID | CPR | ID),
    ("شخصيه", ID),
    ("تعريف", CIN | ID | NATIONAL),
    ("تعريفيه", ID),
    ("اقامه", IQAMA | SA | QA | KW),
    ("iqama", IQAMA | SA),
    ("absher", SA),
    ("ابشر", SA),
    ("cin", CIN | ID),
    ("cnie", CIN | MA | ID),
    ("cni", ID | NATIONAL),
    ("nid", NATIONAL | ID),
    ("civil", CIVIL | ID),
    ("resident", ID | IQAMA),
    ("nin", NIN | NATIONAL),
    ("ausweis", ID | DE),
    ("personalausweis", ID | DE),
    ("identificacion", ID),
    ("identidad", ID),
    ("ssn", SSN | US),
    ("social", SSN | NIR),
    ("security", SSN),
    ("sécurité", NIR),
    ("sociale", NIR),
    ("nir", NIR | FR),
    ("insee", NIR | FR),
    ("vitale", NIR | FR),
    ("secu", NIR | FR),
    ("assuré", NIR),
    ("itin", ITIN | US),
    ("ضمان", SSN | ID),
    ("taxpayer", ITIN | TAX),
    ("sin", SIN | CA),
    ("insurance", SIN | NINO | HEALTH),
    ("nas", SIN | CA),
    ("nino", NINO | UK),
    ("ni", NINO),
    ("nhs", NHS | UK),
    ("npi", NPI),
    ("provider", NPI),
    ("mbi", MEDICARE),
    ("medicare", MEDICARE),
    ("dea", DEA),
    ("prescriber", DEA),
    ("patient", HEALTH | NHS),
    ("health", HEALTH | NHS),
    ("krankenversicherung", HEALTH | DE),
    ("versichertennummer", HEALTH | DE),
    ("kvnr", HEALTH | DE),
    ("rentenversicherungsnummer", SSN | DE),
    ("sozialversicherungsnummer", SSN | DE),
    ("rvnr", SSN | DE),
    ("lanr", LANR),
    ("arztnummer", LANR),
    ("tax", TAX),
    ("tin", TAX | PH),
    ("fiscal", TAX),
    ("fiscale", TAX | CF),
    ("impôts", TAX),
    ("impot", TAX),
    ("steuer", TAX | DE),
    ("steuernummer", TAX | DE),
    ("steuerid", TAX | DE),
    ("identifikationsnummer", TAX | DE),
    ("idnr", TAX | DE),
    ("steueridentifikationsnummer", TAX | DE),
    ("ضريبي", TAX | VAT),
    ("ضريبيه", TAX | VAT),
    ("ضريبه", TAX | VAT),
    ("جبائي", MATRICULE | TAX | TN),
    ("جبائيه", MATRICULE | TAX | TN),
    ("matricule", MATRICULE),
    ("mf", MATRICULE),
    ("vat", VAT),
    ("tva", VAT),
    ("iva", VAT),
    ("partita", VAT | IT),
    ("piva", VAT | IT),
    ("trn", TRN | TAX),
    ("passport", PASSPORT),
    ("passeport", PASSPORT),
    ("جواز", PASSPORT),
    ("سفر", PASSPORT),
    ("reisepass", PASSPORT | DE),
    ("pasaporte", PASSPORT),
    ("passaporto", PASSPORT),
    ("license", LICENSE),
    ("licence", LICENSE),
    ("driver", LICENSE),
    ("drivers", LICENSE),
    ("driving", LICENSE),
    ("permis", LICENSE),
    ("conduire", LICENSE),
    ("dl", LICENSE),
    ("رخصه", LICENSE),
    ("قياده", LICENSE),
    // Devices, vehicles, wallets.
    ("imei", IMEI),
    ("handset", IMEI),
    ("imsi", IMSI),
    ("vin", VIN),
    ("chassis", VIN),
    ("vehicle", VIN),
    ("هيكل", VIN),
    ("mac", MACADDR),
    ("ethernet", MACADDR),
    ("bssid", MACADDR),
    ("wallet", WALLET),
    ("bitcoin", WALLET),
    ("btc", WALLET),
    ("ethereum", WALLET),
    ("eth", WALLET),
    ("crypto", WALLET),
    ("portefeuille", WALLET),
    ("محفظه", WALLET),
    ("solana", WALLET),
    ("sol", WALLET),
    ("tron", WALLET),
    ("usdt", WALLET),
    // National schemes by their own names.
    ("steuer-id", TAX | DE),
    ("siren", SIREN | FR),
    ("siret", SIRET | FR),
    ("nif", NIF),
    ("nie", NIE | ES),
    ("dni", DNI | ES),
    ("codice", CF | IT),
    ("pesel", PESEL | PL),
    ("bsn", BSN | NL),
    ("burgerservicenummer", BSN | NL),
    ("sofinummer", BSN | NL),
    ("rijksregisternummer", BE),
    ("registre", BE),
    ("niss", BE),
    ("insz", BE),
    ("contribuinte", PT),
    ("personnummer", PERSONNR | SE),
    ("organisationsnummer", COMPANY | SE),
    ("orgnr", COMPANY | SE),
    ("henkilötunnus", FI),
    ("hetu", FI),
    ("ahv", AHV | CH),
    ("avs", AHV | CH),
    ("kimlik", TCKN | TR),
    ("tckn", TCKN | TR),
    ("tc", TCKN | TR),
    ("aadhaar", AADHAAR | IN),
    ("aadhar", AADHAAR | IN),
    ("uidai", AADHAAR | IN),
    ("gstin", IN),
    ("gst", IN),
    ("nric", NRIC | SG),
    ("fin", NRIC),
    ("uen", UEN | SG),
    ("rrn", KR),
    ("brn", BRN | KR),
    ("tnin", TH),
    ("tfn", TFN | AU),
    ("abn", ABN | AU),
    ("acn", ACN | AU),
    ("teudat", IL),
    ("zehut", IL),
    ("company", COMPANY),
    ("business", COMPANY | BRN),
    ("entreprise", COMPANY),
    ("société", COMPANY),
    ("شركه", COMPANY),
    ("lei", COMPANY),
    ("rne", MATRICULE | TN),
    ("ice", ICE),
    ("commercial", CR),
    ("cr", CR),
    ("commerce", CR),
    ("تجاري", CR),
    ("موحد", CR),
    ("منشاه", CR),
    ("vatin", VAT | OM),
    ("emirates", EID | AE),
    ("eid", EID | AE),
    ("اماراتيه", EID | AE),
    ("qid", QID | QA),
    ("cpr", CPR | BH),
    ("سكاني", CPR | BH),
    // Countries and peoples.
    ("us", 0),
    ("usa", US),
    ("american", US),
    ("canada", CA),
    ("canadian", CA),
    ("uk", UK),
    ("british", UK),
    ("german", DE),
    ("germany", DE),
    ("deutsche", DE),
    ("french", FR),
    ("france", FR),
    ("français", FR),
    ("spanish", ES),
    ("spain", ES),
    ("españa", ES),
    ("italian", IT),
    ("italy", IT),
    ("polish", PL),
    ("poland", PL),
    ("dutch", NL),
    ("netherlands", NL),
    ("belgian", BE),
    ("belgium", BE),
    ("belge", BE),
    ("belgique", BE),
    ("rrn", BE),
    ("nrn", BE),
    ("portuguese", PT),
    ("portugal", PT),
    ("swedish", SE),
    ("sweden", SE),
    ("finnish", FI),
    ("swiss", CH),
    ("turkish", TR),
    ("turkey", TR),
    ("turkiye", TR),
    ("india", IN),
    ("indian", IN),
    ("singapore", SG),
    ("korea", KR),
    ("korean", KR),
    ("thai", TH),
    ("thailand", TH),
    ("african", ZA),
    ("nigeria", NG),
    ("nigerian", NG),
    ("philippine", PH),
    ("philippines", PH),
    ("australia", AU),
    ("australian", AU),
    ("israel", IL),
    ("israeli", IL),
    ("tunisia", TN),
    ("tunisian", TN),
    ("tunisie", TN),
    ("tunisien", TN),
    ("tunisienne", TN),
    ("تونسي", TN),
    ("تونسيه", TN),
    ("تونس", TN),
    ("saudi", SA),
    ("saoudien", SA),
    ("saoudienne", SA),
    ("سعودي", SA),
    ("سعوديه", SA),
    ("uae", AE),
    ("امارات", AE),
    ("egypt", EG),
    ("egyptian", EG),
    ("égypte", EG),
    ("égyptien", EG),
    ("égyptienne", EG),
    ("مصري", EG),
    ("مصريه", EG),
    ("مصر", EG),
    ("morocco", MA),
    ("moroccan", MA),
    ("maroc", MA),
    ("marocain", MA),
    ("marocaine", MA),
    ("مغربي", MA),
    ("مغربيه", MA),
    ("مغرب", MA),
    ("algeria", DZ),
    ("algerian", DZ),
    ("algérie", DZ),
    ("algérien", DZ),
    ("algérienne", DZ),
    ("جزائري", DZ),
    ("جزائريه", DZ),
    ("جزائر", DZ),
    ("qatar", QA),
    ("qatari", QA),
    ("qatarien", QA),
    ("قطري", QA),
    ("قطريه", QA),
    ("قطر", QA),
    ("kuwait", KW),
    ("kuwaiti", KW),
    ("koweit", KW),
    ("koweïtien", KW),
    ("كويتي", KW),
    ("كويتيه", KW),
    ("كويت", KW),
    ("bahrain", BH),
    ("bahraini", BH),
    ("bahreïn", BH),
    ("بحريني", BH),
    ("بحرينيه", BH),
    ("بحرين", BH),
    ("jordan", JO),
    ("jordanian", JO),
    ("jordanie", JO),
    ("jordanien", JO),
    ("اردني", JO),
    ("اردنيه", JO),
    ("اردن", JO),
    ("oman", OM),
    ("omani", OM),
    ("omanais", OM),
    ("عماني", OM),
    ("عمانيه", OM),
    ("عمان", OM),
    ("lebanon", LB),
    ("lebanese", LB),
    ("liban", LB),
    ("libanais", LB),
    ("libanaise", LB),
    ("لبناني", LB),
    ("لبنانيه", LB),
    ("لبنان", LB),
    ("iraq", IQ),
    ("iraqi", IQ),
    ("irak", IQ),
    ("irakien", IQ),
    ("irakienne", IQ),
    ("عراقي", IQ),
    ("عراقيه", IQ),
    ("عراق", IQ),
    ("موحده", IQ),
    ("aws", AWS),
    ("amazon", AWS),
    ("secret", AWS),
    ("version", VERSION),
    ("firmware", VERSION | NEG),
    ("release", VERSION | NEG),
    ("v", VERSION),
    ("ver", VERSION),
    ("build", VERSION | NEG),
    ("اصدار", VERSION | NEG),
    ("schema", VERSION | NEG),
    ("oid", VERSION),
    // What a number is when it is nobody's.
    ("order", NEG),
    ("invoice", NEG),
    ("tracking", NEG),
    ("ticket", NEG),
    ("sku", NEG),
    ("isbn", NEG),
    ("issn", NEG),
    ("ean", NEG),
    ("upc", NEG),
    ("serial", NEG),
    ("reference", NEG),
    ("ref", NEG),
    ("po", NEG),
    ("part", NEG),
    ("product", NEG),
    ("item", NEG),
    ("timestamp", NEG),
    ("epoch", NEG),
    ("commit", NEG),
    ("hash", NEG),
    ("shipment", NEG),
    ("parcel", NEG),
    ("transaction", NEG),
    ("txn", NEG),
    ("batch", NEG),
    ("lot", NEG),
    ("model", NEG),
    ("population", NEG),
    ("bytes", NEG),
    ("barcode", NEG),
    ("catalog", NEG),
    ("case", NEG),
    ("issue", NEG),
    ("job", NEG),
    ("checksum", NEG),
    ("flight", NEG),
    ("train", NEG),
    ("amount", NEG),
    ("total", NEG),
    ("price", NEG),
    ("booking", NEG),
    ("quantity", NEG),
    ("patent", NEG),
    ("doi", NEG),
    ("arxiv", NEG),
    ("page", NEG),
    ("article", NEG),
    ("request", NEG),
    ("trace", NEG),
    ("session", NEG),
    ("commande", NEG),
    ("facture", NEG),
    ("colis", NEG),
    ("référence", NEG),
    ("réf", NEG),
    ("suivi", NEG),
    ("dossier", NEG),
    ("produit", NEG),
    ("série", NEG),
    ("réservation", NEG),
    ("lot", NEG),
    ("montant", NEG),
    ("devis", NEG),
    ("livraison", NEG),
    ("طلب", NEG),
    ("طلبيه", NEG),
    ("فاتوره", NEG),
    ("شحنه", NEG),
    ("تذكره", NEG),
    ("مرجع", NEG),
    ("مرجعي", NEG),
    ("منتج", NEG),
    ("تسلسلي", NEG),
    ("تتبع", NEG),
    ("حجز", NEG),
    ("مبلغ", NEG),
    ("طرد", NEG),
    ("معامله", NEG),
    ("قطعه", NEG),
];

const SLOTS: usize = 2048;

const fn fold_const(b: u8) -> u8 {
    if b.is_ascii_uppercase() { b + 32 } else { b }
}

/// FNV-1a; the low bits choose a slot, the others tell entries of one chain apart.
const fn hash(bytes: &[u8], len: usize) -> usize {
    let mut h: u32 = 0x811c_9dc5;
    let mut i = 0;
    while i < len {
        h = (h ^ fold_const(bytes[i]) as u32).wrapping_mul(0x0100_0193);
        i += 1;
    }
    (h ^ (h >> 15)) as usize
}

/// Folds Latin accents and Arabic variants of one word into `out`; the length, or `None` if too long.
const fn fold_word(word: &[u8], out: &mut [u8; 40]) -> Option<usize> {
    let (mut i, mut n) = (0, 0);
    while i < word.len() {
        if n + 2 > out.len() {
            return None;
        }
        let next = if i + 1 < word.len() { word[i + 1] } else { 0 };
        match (word[i], next) {
            (0xC3, c) => {
                let c = c | 0x20;
                out[n] = match c {
                    0xA0..=0xA6 => b'a',
                    0xA7 => b'c',
                    0xA8..=0xAB => b'e',
                    0xAC..=0xAF => b'i',
                    0xB1 => b'n',
                    0xB2..=0xB6 | 0xB8 => b'o',
                    0xB9..=0xBC => b'u',
                    _ => b'?',
                };
                n += 1;
                i += 2;
            }
            // Alef with hamza or madda, alef maqsura, teh marbuta.
            (0xD8, 0xA2 | 0xA3 | 0xA5) => {
                out[n] = 0xD8;
                out[n + 1] = 0xA7;
                n += 2;
                i += 2;
            }
            (0xD9, 0x89) => {
                out[n] = 0xD9;
                out[n + 1] = 0x8A;
                n += 2;
                i += 2;
            }
            (0xD8, 0xA9) => {
                out[n] = 0xD9;
                out[n + 1] = 0x87;
                n += 2;
                i += 2;
            }
            (b, _) => {
                out[n] = fold_const(b);
                n += 1;
                i += 1;
            }
        }
    }
    Some(n)
}

/// Open addressing: word number plus one, and the hash's upper half so that a miss compares no text.
static TABLE: [(u16, u16); SLOTS] = {
    let mut table = [(0u16, 0u16); SLOTS];
    let mut i = 0;
    while i < WORDS.len() {
        let mut buf = [0u8; 40];
        if let Some(n) = fold_word(WORDS[i].0.as_bytes(), &mut buf) {
            let h = hash(&buf, n);
            let mut slot = h % SLOTS;
            while table[slot].0 != 0 {
                slot = (slot + 1) % SLOTS;
            }
            table[slot] = (i as u16 + 1, (h >> 16) as u16);
        }
        i += 1;
    }
    table
};

fn exact(folded: &[u8]) -> Bits {
    let h = hash(folded, folded.len());
    let tag = (h >> 16) as u16;
    let mut slot = h % SLOTS;
    let mut bits = 0;
    while TABLE[slot].0 != 0 {
        if TABLE[slot].1 == tag {
            let (word, b) = WORDS[usize::from(TABLE[slot].0) - 1];
            let mut buf = [0u8; 40];
            if fold_word(word.as_bytes(), &mut buf).is_some_and(|n| &buf[..n] == folded) {
                bits |= b;
            }
        }
        slot = (slot + 1) % SLOTS;
    }
    bits
}

/// What one word suggests. Words of a mixed script, or too long, suggest nothing.
#[must_use]
pub fn word(raw: &[u8]) -> Bits {
    let mut buf = [0u8; 40];
    let Some(n) = fold_word(raw, &mut buf) else {
        return 0;
    };
    let w = &buf[..n];
    let found = exact(w);
    if found != 0 || !matches!(w.first(), Some(0xD8..=0xDB)) {
        return found;
    }
    arabic(w)
}

/// Tries the word without its proclitics, and each of those without a possessive ending.
fn arabic(w: &[u8]) -> Bits {
    let mut stems: [&[u8]; 4] = [w; 4];
    let mut n = 1;
    let mut rest = w;
    // One of و ف ب ل ك, then ال; لل stands for ل + ال.
    if let Some([0xD9, 0x88 | 0x81 | 0x84 | 0x83] | [0xD8, 0xA8]) = rest.first_chunk::<2>() {
        rest = &rest[2..];
        stems[n] = rest;
        n += 1;
    }
    for article in ["ال", "ل", "بال"] {
        if let Some(stem) = rest.strip_prefix(article.as_bytes())
            && n < 4
        {
            stems[n] = stem;
            n += 1;
        }
    }
    for stem in &stems[..n] {
        let found = exact(stem);
        if found != 0 {
            return found;
        }
        for ending in ["ي", "ه", "ها", "ك", "كم", "نا", "هم"] {
            let Some(base) = stem.strip_suffix(ending.as_bytes()) else {
                continue;
            };
            let mut found = exact(base);
            // بطاقتي is بطاقة with its ة opened to ت.
            if found == 0
                && let Some(open) = base.strip_suffix("ت".as_bytes())
            {
                let mut buf = [0u8; 48];
                if let Some(dst) = buf.get_mut(..open.len() + 2) {
                    dst[..open.len()].copy_from_slice(open);
                    dst[open.len()..].copy_from_slice("ه".as_bytes());
                    found = exact(dst);
                }
            }
            if found != 0 {
                return found;
            }
        }
    }
    0
}

/// The context of one candidate.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context {
    /// Words right before (five), or the nearest line label.
    pub near: Bits,
    /// Words further before (ten), and right after (four).
    pub far: Bits,
}

const fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b >= 0x80
}

const NEAR_WORDS: usize = 6;
const FAR_WORDS: usize = 12;
const WINDOW: usize = 120;

/// Reads the words around `start..end`. Another long number, or two line breaks, end the look back:
/// what stands before them belongs to something else.
#[must_use]
pub fn around(s: &[u8], start: usize, end: usize) -> Context {
    let mut ctx = Context::default();
    let floor = start.saturating_sub(WINDOW);
    let (mut i, mut words, mut breaks, mut crossed) = (start, 0, 0, false);
    while i > floor && words < FAR_WORDS {
        let b = s[i - 1];
        if !is_word(b) {
            breaks += usize::from(b == b'\n');
            crossed |= matches!(b, b';' | b'\n' | b'!' | b'?')
                || (b == b'.' && s.get(i) == Some(&b' ') && sentence_ends(s, i - 1));
            if breaks > 2 {
                break;
            }
            i -= 1;
            continue;
        }
        let stop = i;
        while i > floor && is_word(s[i - 1]) {
            i -= 1;
        }
        if i == floor && floor > 0 {
            break;
        }
        let w = &s[i..stop];
        let digits = w.iter().filter(|b| b.is_ascii_digit()).count();
        if digits >= 6 {
            crossed = true;
            words += 2;
            continue;
        }
        if digits > 0 && digits == w.len() {
            continue;
        }
        words += 1;
        let bits = token(w);
        if words <= NEAR_WORDS && !crossed {
            ctx.near |= bits
        } else {
            ctx.far |= bits
        }
    }
    // A few words after, on the same line and in the same sentence.
    let ceiling = (end + 72).min(s.len());
    let (mut i, mut words) = (end, 0);
    while i < ceiling && words < 8 {
        if !is_word(s[i]) {
            // What follows a comma belongs here only if nothing stood before.
            if matches!(s[i], b'\n' | b';')
                || (s[i] == b',' && (ctx.near | ctx.far) & !NEG != 0)
                || (s[i] == b'.' && s.get(i + 1).is_none_or(|b| !is_word(*b)))
            {
                break;
            }
            i += 1;
            continue;
        }
        let from = i;
        while i < ceiling && is_word(s[i]) {
            i += 1;
        }
        if s[from..i].iter().filter(|b| b.is_ascii_digit()).count() >= 5 {
            break;
        }
        words += 1;
        // What follows is weaker evidence, and never evidence against.
        ctx.far |= token(&s[from..i]) & !(NEG | VERSION);
    }
    ctx
}

/// Whether the full stop at `at` ends a sentence rather than an abbreviation (`no.`, `tél.`).
fn sentence_ends(s: &[u8], at: usize) -> bool {
    let mut a = at;
    while a > 0 && at - a < 24 && is_word(s[a - 1]) {
        a -= 1;
    }
    at - a > 3 && word(&s[a..at]) == 0
}

/// One stretch of letters and digits: Latin glued to Arabic counts as two words, `userPhone` as its
/// parts, `phone2` without its digits.
fn token(w: &[u8]) -> Bits {
    let whole = word(w);
    if whole != 0 {
        return whole;
    }
    let mut bits = 0;
    let mut from = 0;
    for i in 1..=w.len() {
        let cut = i == w.len() || {
            let (a, b) = (w[i - 1], w[i]);
            a.is_ascii() != b.is_ascii()
                || (a.is_ascii_lowercase() && b.is_ascii_uppercase())
                || (a.is_ascii_digit() != b.is_ascii_digit())
        };
        if cut {
            if from > 0 || i < w.len() {
                bits |= word(&w[from..i]);
            }
            from = i;
        }
    }
    bits
}

/// Length of ` الأول` or ` الثاني` at the start of `s`, else 0: the second word of a Levantine month.
#[must_use]
pub fn folded_prefix(s: &[u8]) -> usize {
    [" الأول", " الاول", " الثاني"]
        .iter()
        .find(|w| s.starts_with(w.as_bytes()))
        .map_or(0, |w| w.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sparse_and_lossless() {
        assert!(WORDS.len() * 2 < SLOTS, "{} words", WORDS.len());
        for (w, bits) in WORDS {
            assert_eq!(word(w.as_bytes()) & bits, *bits, "{w}");
        }
    }

    #[test]
    fn arabic_words_with_clitics() {
        for w in [
            "الهوية",
            "هوية",
            "بطاقتي",
            "وبطاقة",
            "والهوية",
            "لبطاقتي",
            "للهوية",
            "هويتي",
        ] {
            assert_ne!(word(w.as_bytes()) & ID, 0, "{w}");
        }
        for w in ["جوالي", "هاتفه", "الهاتف", "بالجوال", "وهاتفها"] {
            assert_ne!(word(w.as_bytes()) & PHONE, 0, "{w}");
        }
    }

    #[test]
    fn accents_case_and_compounds() {
        assert_ne!(word("NÉE".as_bytes()) & BIRTH, 0);
        assert_ne!(token(b"userPhone") & PHONE, 0);
        assert_ne!(token("رقمphone".as_bytes()) & PHONE, 0);
    }

    #[test]
    fn a_number_before_ends_the_near_context() {
        let s = b"CIN 09876543, tel 20123456";
        let c = around(s, 18, 26);
        assert_ne!(c.near & PHONE, 0);
        assert_eq!(c.near & CIN, 0);
        assert_ne!(c.far & CIN, 0);
    }
}
