//! The words that context is made of, in English, French and Arabic, and some of other languages where a
//! scheme is named by them.
//!
//! Words stand in the form that [`super::context`] folds to: lower case, Arabic without vowels and with one
//! form of each letter (ه for ة, ا for أ, ي for ى). A word may stand in several groups.

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
    HEALTH MEDICARE NHS NINO SIN NPI DEA IMEI IMSI VIN MACADDR WALLET ABA LANR BSNR FILE
    US CA UK DE FR ES IT PL NL BE PT SE FI CH TR IN SG KR TH ZA NG PH AU IL
    TN SA AE EG MA DZ QA KW BH JO OM LB IQ
    CIN IQAMA CIVIL KSAID EID QID CPR NIN PESEL BSN NIR SIREN SIRET NIF NIE DNI CF BRN UEN NRIC TFN ABN ACN
    NUMBER MINE CALL DRIVING ORG WATANI ARTAX AADHAAR PAN MATRICULE RIB ICE CCP CR TRN AHV TCKN PERSONNR AWS VERSION NEG
}

/// Every country.
pub const COUNTRIES: Bits = {
    let countries = [
        US, CA, UK, DE, FR, ES, IT, PL, NL, BE, PT, SE, FI, CH, TR, IN, SG, KR, TH, ZA, NG, PH, AU,
        IL, TN, SA, AE, EG, MA, DZ, QA, KW, BH, JO, OM, LB, IQ,
    ];
    let (mut all, mut i) = (0, 0);
    while i < countries.len() {
        all |= countries[i];
        i += 1;
    }
    all
};

/// What words suggest. `NEG` is what a number is when it is nobody's.
pub(super) static GROUPS: &[(Bits, &str)] = &[
    (
        CARD,
        "card cards cc visa mastercard amex maestro credit debit carte mada ائتمان ائتمانيه",
    ),
    (CARD, "فيزا مدي كارت creditcard cardnumber ماستركارد"),
    (ACCOUNT, "bancaire"),
    (CARD | PAN, "pan"),
    (CARD | ID, "بطاقه"),
    (IBAN, "iban ايبان الايبان"),
    (
        ACCOUNT,
        "account acct compte حساب bank banque بنك بنكي مصرفي konto checking savings جاري",
    ),
    (RIB | ACCOUNT, "rib"),
    (RIB, "ريب"),
    (ROUTING | ABA, "routing routage"),
    (ABA | ROUTING, "aba rtn"),
    (SWIFT, "swift bic سويفت"),
    (CCP | ACCOUNT, "ccp rip"),
    (CCP, "بريدي"),
    (
        PHONE,
        "phone telephone tel tél mobile mob cell fax whatsapp sms portable gsm",
    ),
    (
        PHONE,
        "telefon telefono telefone handy هاتف جوال موبايل تلفون",
    ),
    (PHONE, "تليفون محمول اتصل واتساب واتس فاكس نقال phonenumber"),
    (
        BIRTH,
        "born birth dob birthdate birthday naissance né née ميلاد مواليد ولد ولدت مولود",
    ),
    (
        BIRTH,
        "مولوده ولاده مولد geboren geburtsdatum nacimiento nacido nascita anniversaire",
    ),
    (BIRTH, "nato nata dateofbirth ddn"),
    (
        ID,
        "id identity identification identifiant شخصيه تعريفيه identificacion identidad",
    ),
    (ID | NATIONAL, "identité cni"),
    (NATIONAL | ID, "national nationale وطنيه قوميه nid"),
    // `الرقم الوطني`, masculine: the number itself; `الهوية الوطنية` is a card.
    (NATIONAL | ID | WATANI, "وطني"),
    (NATIONAL, "citizen"),
    (ID | NATIONAL | KSAID, "هويه"),
    (NATIONAL | ID | EG, "قومي"),
    (KSAID, "سجل"),
    (SA, "absher ابشر saudi saoudien saoudienne سعودي سعوديه"),
    (CIVIL | KSAID, "مدني"),
    (CIVIL | ID, "مدنيه civil"),
    (QID | CPR | ID, "شخصي"),
    (CIN | ID | NATIONAL, "تعريف"),
    (IQAMA | KSAID | QID | CIVIL, "اقامه"),
    (IQAMA | SA, "iqama"),
    (CIN | ID, "cin"),
    (CIN | MA | ID, "cnie"),
    (ID | IQAMA, "resident"),
    (NIN | NATIONAL, "nin"),
    (ID | DE, "ausweis personalausweis"),
    (SSN | US, "ssn"),
    (SSN | NIR, "social"),
    (SSN, "security"),
    (NIR, "sécurité sociale assuré"),
    (NIR | FR, "nir insee vitale secu"),
    (ITIN | US, "itin"),
    (SSN | ID, "ضمان"),
    (ITIN | TAX, "taxpayer"),
    (SIN | CA, "sin nas"),
    (SIN | NINO | HEALTH, "insurance"),
    (NINO | UK, "nino"),
    (NINO, "ni"),
    (NHS | UK, "nhs"),
    (NPI, "npi provider"),
    (MEDICARE, "mbi medicare"),
    (DEA, "dea prescriber"),
    (HEALTH | NHS, "patient health"),
    (HEALTH | DE, "krankenversicherung versichertennummer kvnr"),
    (
        SSN | DE,
        "rentenversicherungsnummer sozialversicherungsnummer rvnr",
    ),
    (LANR, "lanr arztnummer"),
    (TAX, "tax fiscal impôts impot"),
    (TAX | PH, "tin"),
    (TAX | CF, "fiscale"),
    (
        TAX | DE,
        "steuer steuernummer steuerid identifikationsnummer idnr",
    ),
    (TAX | DE, "steueridentifikationsnummer"),
    (TAX | VAT | ARTAX, "ضريبي ضريبيه ضريبه"),
    (MATRICULE | TAX | TN, "جبائي جبائيه"),
    (MATRICULE, "matricule mf"),
    (VAT, "vat tva iva"),
    (VAT | IT, "partita piva"),
    (TRN | TAX, "trn"),
    (PASSPORT, "passport passeport جواز سفر pasaporte passaporto"),
    (PASSPORT | DE, "reisepass"),
    (LICENSE, "license licence رخصه"),
    (DRIVING, "driver drivers driving conduire قياده"),
    (LICENSE | DRIVING, "permis dl dvla"),
    (IMEI, "imei handset"),
    (IMSI, "imsi"),
    (VIN, "vin chassis vehicle هيكل"),
    (MACADDR, "mac ethernet bssid"),
    (
        WALLET,
        "wallet bitcoin btc ethereum eth crypto portefeuille محفظه solana sol tron usdt",
    ),
    (SIREN | FR, "siren rcs"),
    (SIRET | FR, "siret"),
    (NIF, "nif"),
    (NIE | ES, "nie"),
    (DNI | ES, "dni"),
    (CF | IT, "codice"),
    (PESEL | PL, "pesel"),
    (
        BSN | NL,
        "bsn burgerservicenummer burgerservicenr sofinummer",
    ),
    (
        BE,
        "rijksregisternummer registre niss insz belgian belgium belge belgique rrn nrn",
    ),
    (PT, "contribuinte portuguese portugal"),
    (PERSONNR | SE, "personnummer personnr"),
    (COMPANY | SE, "organisationsnummer orgnr"),
    (FI, "henkilötunnus hetu finnish"),
    (AHV | CH, "ahv avs"),
    (TCKN | TR, "kimlik tckn tc"),
    (AADHAAR | IN, "aadhaar aadhar uidai"),
    (IN, "gstin gst india indian inde indien indienne هندي هنديه"),
    (NRIC | SG, "nric"),
    (NRIC, "fin"),
    (UEN | SG, "uen"),
    (UEN, "entity"),
    (KR, "rrn korea korean"),
    (BRN | KR, "brn"),
    (
        TH,
        "tnin thai thailand thaïlandais thaïlandaise เลขประจำตัวประชาชน",
    ),
    (TFN | AU, "tfn"),
    (ABN | AU, "abn"),
    (ACN | AU, "acn"),
    (
        IL,
        "teudat zehut israel israeli israël israélien israélienne اسرائيلي اسرائيليه",
    ),
    (COMPANY, "company entreprise société شركه lei"),
    (COMPANY | BRN, "business"),
    (MATRICULE | TN, "rne"),
    (ICE, "ice commun مقاوله"),
    // `س.ت` for سجل تجاري.
    (CR, "commercial cr commerce تجاري موحد منشاه ست"),
    (VAT | OM, "vatin"),
    (EID | AE, "emirates eid اماراتيه"),
    (QID | QA, "qid"),
    (CPR | BH, "cpr سكاني"),
    (US, "usa american américain américaine امريكي امريكيه"),
    (CA, "canada canadian canadien canadienne كندي كنديه"),
    (UK, "uk british britannique بريطاني بريطانيه"),
    (
        DE,
        "german germany deutsche allemand allemande الماني المانيه",
    ),
    (FR, "french france français française فرنسي فرنسيه"),
    (ES, "spanish spain españa espagnol espagnole اسباني اسبانيه"),
    (IT, "italian italy italien italienne ايطالي ايطاليه"),
    (PL, "polish poland polonais polonaise"),
    (NL, "dutch netherlands néerlandais néerlandaise"),
    (SE, "swedish sweden suédois suédoise"),
    (CH, "swiss"),
    (
        TR,
        "turkish turkey turkiye turc turque turquie تركي تركيه تركيا",
    ),
    (SG, "singapore"),
    (ZA, "african africain africaine rsa"),
    (NG, "nigeria nigerian nigérian nigériane"),
    (PH, "philippine philippines philippin"),
    (AU, "australia australian australien australienne"),
    (
        TN,
        "tunisia tunisian tunisie tunisien tunisienne تونسي تونسيه تونس",
    ),
    (AE, "uae امارات"),
    (
        EG,
        "egypt egyptian égypte égyptien égyptienne مصري مصريه مصر",
    ),
    (
        MA,
        "morocco moroccan maroc marocain marocaine مغربي مغربيه مغرب",
    ),
    (
        DZ,
        "algeria algerian algérie algérien algérienne جزائري جزائريه جزائر",
    ),
    (QA, "qatar qatari qatarien قطري قطريه قطر"),
    (KW, "kuwait kuwaiti koweit koweïtien كويتي كويتيه كويت"),
    (BH, "bahrain bahraini bahreïn بحريني بحرينيه بحرين"),
    (JO, "jordan jordanian jordanie jordanien اردني اردنيه اردن"),
    (OM, "oman omani omanais omanaise عماني عمانيه عمان"),
    (
        LB,
        "lebanon lebanese liban libanais libanaise لبناني لبنانيه لبنان",
    ),
    (
        IQ,
        "iraq iraqi irak irakien irakienne عراقي عراقيه عراق موحده",
    ),
    (AWS, "aws amazon secret"),
    (VERSION, "version v ver oid"),
    (VERSION | NEG, "firmware release build اصدار schema"),
    (
        NEG,
        "order invoice tracking ticket sku isbn issn ean upc serial reference ref po part",
    ),
    (
        NEG,
        "product item timestamp ts epoch commit hash shipment parcel transaction txn batch lot",
    ),
    (
        NEG,
        "model population bytes barcode catalog case issue job checksum flight train amount",
    ),
    (
        NEG,
        "total price booking quantity patent doi arxiv page article request trace session",
    ),
    (
        NEG,
        "commande facture colis référence réf suivi dossier produit série réservation",
    ),
    (
        NEG,
        "montant devis livraison طلب طلبيه فاتوره شحنه تذكره مرجع مرجعي منتج تسلسلي تتبع حجز",
    ),
    (NEG, "مبلغ طرد معامله قطعه created updated modified"),
    (CARD, "charge charged pay paid payer"),
    (
        CARD,
        "carta tarjeta kreditkarte kartennummer karte cb bleue cvv cvc payment creditcardnumber cardno ccnum",
    ),
    (CARD, "ماستر بطاقات"),
    (ACCOUNT, "cuenta conta rekening accountnumber حسابات"),
    (
        PHONE,
        "tlf móvil celular cellulare telefonnummer handynummer contacter contactez rappeler appel",
    ),
    (
        PHONE,
        "phonenumber mobilenumber خلوي تواصل اتصال اتصلوا اتصلي كلمني تلفوني موبيل",
    ),
    (
        BIRTH,
        "bday geb geboorte geboortedatum urodzenia birthplace",
    ),
    (SSN | DE, "sv versicherungsnummer rentenversicherung"),
    (
        HEALTH | DE,
        "krankenversichertennummer krankenversicherungsnummer versicherten kv krankenkasse versichertennr gesundheitskarte",
    ),
    (
        ID | DE,
        "personalausweisnummer perso ausweisnummer ausweisnr",
    ),
    (SIN | NIR, "assurance"),
    (CF | IT, "codicefiscale cf"),
    (CIN | ID | NATIONAL, "بتو"),
    (LANR, "arztnr"),
    (BSNR, "bsnr betriebsstättennummer"),
    (KR, "frn alien 주민등록번호 외국인등록번호 주민번호"),
    (IL | ID, "זהות תז הזהות"),
    (SA, "ksa riyadh jeddah رياض سعوديين"),
    (TN, "sfax sousse صفاقس"),
    (PHONE, "répondeur joignable 📞 📱 📲 ☎ ☎\u{FE0F} ✆"),
    // Telephones in prose, anything in source text: see `context::around`.
    (
        CALL,
        "call dial contact reach text ring appeler appelez appelle joindre answering answered answer messages message office desk rappel",
    ),
    (QID, "شخصيه"),
    (AE, "émirati émiratie اماراتي"),
    (KW, "koweïtienne"),
    (BH, "bahreïni bahreïnie"),
    (JO, "jordanienne"),
    (QA, "qatarienne qatarie"),
    (FILE, "file"),
    (NUMBER, "number numéro num nummer nr"),
    (ORG, "org"),
    (MINE, "my our mon notre mi mein meine"),
    (NUMBER | MINE, "رقمي رقمنا"),
    (
        NEG,
        "sn rev room zip postal chapter section paragraph asset quote receipt ledger container barcode",
    ),
    (
        NEG,
        "voucher coupon build article chapitre page ماده صفحه فصل قانون عقد",
    ),
    (BRN | KR, "사업자등록번호"),
    // As people write Arabic in Latin letters, and what they say where a form says `my`.
    (
        MINE,
        "mte3i mta3i dyali diali bta3i bta3y ta3i متاعي متاعتي ديالي بتاعي بتاعتي حقي حقتي",
    ),
    (NUMBER | MINE, "raqmi ra9mi nemrti nimirti"),
    (NUMBER, "raqm ra9m raqam noumrou nemra"),
    (PHONE, "tilifoun telifoun jawal jawali tilifouni نمرتي نمره"),
    (CARD | ID, "bita9a bitaqa batta9a"),
    (ID | NATIONAL | KSAID, "hawiya hawiyati"),
    (NATIONAL | ID | EG, "qawmi qawmy 9awmi"),
    (ACCOUNT, "hisab 7sab 7sabi"),
    (
        BIRTH,
        "mouloud mawloud moulouda milad nascimento nascido nascida nacida",
    ),
    (PASSPORT, "jawaz"),
];
