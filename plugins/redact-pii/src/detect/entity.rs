//! The entities that the filter knows, with the neutral label that stands for each in a pseudonym.
//!
//! A label is what the model reads: `ID`, not `SSN`, because models refuse more often beside the name
//! of a sensitive document. Values of one label share one numbering.

/// What kind of thing an entity is: decides defaults, never detection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Personal data.
    Personal,
    /// A credential: never restored unless the settings say so, compared exactly.
    Secret,
}

macro_rules! entities {
    ($($variant:ident $name:literal $label:literal $class:ident;)*) => {
        /// Something that is detected by shape and validated in code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Entity {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Entity {
            /// Every entity, in the order of the documentation.
            pub const ALL: &'static [Entity] = &[$(Entity::$variant,)*];

            /// The name that settings and findings use.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Entity::$variant => $name,)* }
            }

            /// The word inside a pseudonym.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Entity::$variant => $label,)* }
            }

            /// Personal data or secret.
            #[must_use]
            pub const fn class(self) -> Class {
                match self { $(Entity::$variant => Class::$class,)* }
            }
        }
    };
}

entities! {
    CreditCard "CREDIT_CARD" "CARD" Personal;
    Iban "IBAN_CODE" "IBAN" Personal;
    Email "EMAIL_ADDRESS" "EMAIL" Personal;
    Phone "PHONE_NUMBER" "PHONE" Personal;
    Ip "IP_ADDRESS" "IP" Personal;
    Mac "MAC_ADDRESS" "MAC" Personal;
    Crypto "CRYPTO" "WALLET" Personal;
    DateOfBirth "DATE_OF_BIRTH" "DATE" Personal;
    Uuid "UUID" "UUID" Personal;
    Imei "IMEI" "DEVICE" Personal;
    Imsi "IMSI" "DEVICE" Personal;
    Vin "VIN" "VEHICLE" Personal;
    Mrz "MRZ" "MRZ" Personal;
    Lei "LEI" "ORG" Personal;
    Bic "BIC_SWIFT" "BANK" Personal;
    Passport "PASSPORT" "ID" Personal;
    BankAccount "BANK_ACCOUNT" "ACCOUNT" Personal;
    DriverLicense "DRIVER_LICENSE" "ID" Personal;
    UsSsn "US_SSN" "ID" Personal;
    UsItin "US_ITIN" "ID" Personal;
    AbaRouting "ABA_ROUTING_NUMBER" "BANK" Personal;
    UsNpi "US_NPI" "ID" Personal;
    UsMbi "US_MBI" "ID" Personal;
    MedicalLicense "MEDICAL_LICENSE" "ID" Personal;
    CaSin "CA_SIN" "ID" Personal;
    UkNhs "UK_NHS" "ID" Personal;
    UkNino "UK_NINO" "ID" Personal;
    UkDrivingLicence "UK_DRIVING_LICENCE" "ID" Personal;
    DeTaxId "DE_TAX_ID" "ID" Personal;
    DeRvnr "DE_SOCIAL_SECURITY" "ID" Personal;
    DeKvnr "DE_HEALTH_INSURANCE" "ID" Personal;
    DeIdCard "DE_ID_CARD" "ID" Personal;
    DeLanr "DE_LANR" "ID" Personal;
    DeBsnr "DE_BSNR" "ORG" Personal;
    FrNir "FR_NIR" "ID" Personal;
    FrSiren "FR_SIREN" "ORG" Personal;
    FrSiret "FR_SIRET" "ORG" Personal;
    EsNif "ES_NIF" "ID" Personal;
    EsNie "ES_NIE" "ID" Personal;
    ItFiscalCode "IT_FISCAL_CODE" "ID" Personal;
    ItVat "IT_VAT_CODE" "ORG" Personal;
    PlPesel "PL_PESEL" "ID" Personal;
    NlBsn "NL_BSN" "ID" Personal;
    BeNrn "BE_NRN" "ID" Personal;
    PtNif "PT_NIF" "ID" Personal;
    SePersonnummer "SE_PERSONNUMMER" "ID" Personal;
    SeOrgnr "SE_ORGANISATIONSNUMMER" "ORG" Personal;
    FiHetu "FI_PERSONAL_IDENTITY_CODE" "ID" Personal;
    ChAhv "CH_AHV" "ID" Personal;
    TrTckn "TR_NATIONAL_ID" "ID" Personal;
    InAadhaar "IN_AADHAAR" "ID" Personal;
    InPan "IN_PAN" "ID" Personal;
    InGstin "IN_GSTIN" "ORG" Personal;
    SgNric "SG_NRIC_FIN" "ID" Personal;
    SgUen "SG_UEN" "ORG" Personal;
    KrRrn "KR_RRN" "ID" Personal;
    KrFrn "KR_FRN" "ID" Personal;
    KrBrn "KR_BRN" "ORG" Personal;
    ThTnin "TH_TNIN" "ID" Personal;
    ZaId "ZA_ID_NUMBER" "ID" Personal;
    NgNin "NG_NIN" "ID" Personal;
    PhTin "PH_TIN" "ID" Personal;
    AuAbn "AU_ABN" "ORG" Personal;
    AuAcn "AU_ACN" "ORG" Personal;
    AuTfn "AU_TFN" "ID" Personal;
    AuMedicare "AU_MEDICARE" "ID" Personal;
    IlTeudatZehut "IL_TEUDAT_ZEHUT" "ID" Personal;
    TnCin "TN_CIN" "ID" Personal;
    TnMatriculeFiscal "TN_MATRICULE_FISCAL" "ORG" Personal;
    TnRib "TN_RIB" "ACCOUNT" Personal;
    SaNationalId "SA_NATIONAL_ID" "ID" Personal;
    SaCr "SA_COMMERCIAL_REGISTRATION" "ORG" Personal;
    SaVat "SA_VAT" "ORG" Personal;
    AeEmiratesId "AE_EMIRATES_ID" "ID" Personal;
    AeTrn "AE_TRN" "ORG" Personal;
    EgNationalId "EG_NATIONAL_ID" "ID" Personal;
    EgTax "EG_TAX_NUMBER" "ORG" Personal;
    MaCin "MA_CIN" "ID" Personal;
    MaIce "MA_ICE" "ORG" Personal;
    MaRib "MA_RIB" "ACCOUNT" Personal;
    DzNin "DZ_NIN" "ID" Personal;
    DzNif "DZ_NIF" "ORG" Personal;
    DzCcp "DZ_CCP" "ACCOUNT" Personal;
    QaQid "QA_QID" "ID" Personal;
    KwCivilId "KW_CIVIL_ID" "ID" Personal;
    BhCpr "BH_CPR" "ID" Personal;
    JoNationalNo "JO_NATIONAL_NUMBER" "ID" Personal;
    OmCivilNo "OM_CIVIL_NUMBER" "ID" Personal;
    OmVatin "OM_VATIN" "ORG" Personal;
    LbId "LB_ID" "ID" Personal;
    IqNationalCard "IQ_NATIONAL_CARD" "ID" Personal;
    NationalId "NATIONAL_ID" "ID" Personal;
    UrlCredentials "URL_CREDENTIALS" "SECRET" Secret;
    AwsAccessKey "AWS_ACCESS_KEY" "SECRET" Secret;
    AwsSecretKey "AWS_SECRET_KEY" "SECRET" Secret;
    GithubToken "GITHUB_TOKEN" "SECRET" Secret;
    GitlabToken "GITLAB_TOKEN" "SECRET" Secret;
    SlackToken "SLACK_TOKEN" "SECRET" Secret;
    StripeKey "STRIPE_KEY" "SECRET" Secret;
    OpenaiKey "OPENAI_API_KEY" "SECRET" Secret;
    AnthropicKey "ANTHROPIC_API_KEY" "SECRET" Secret;
    GoogleApiKey "GOOGLE_API_KEY" "SECRET" Secret;
    HuggingfaceToken "HUGGINGFACE_TOKEN" "SECRET" Secret;
    NpmToken "NPM_TOKEN" "SECRET" Secret;
    PypiToken "PYPI_TOKEN" "SECRET" Secret;
    SendgridKey "SENDGRID_API_KEY" "SECRET" Secret;
    ApiKey "API_KEY" "SECRET" Secret;
    Jwt "JWT" "SECRET" Secret;
    PrivateKey "PRIVATE_KEY" "SECRET" Secret;
    GenericSecret "GENERIC_SECRET" "SECRET" Secret;
}

impl Entity {
    /// The entity of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Entity> {
        Entity::ALL.iter().copied().find(|e| e.name() == name)
    }

    /// Looked for unless the settings say otherwise. UUIDs are everywhere and identify few people.
    #[must_use]
    pub fn on_by_default(self) -> bool {
        self != Entity::Uuid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_labels_fit_a_pseudonym() {
        for (i, &e) in Entity::ALL.iter().enumerate() {
            assert_eq!(e as usize, i);
            assert_eq!(Entity::by_name(e.name()), Some(e));
            assert!(e.label().bytes().all(|b| b.is_ascii_uppercase()) && e.label().len() <= 12);
        }
    }
}
