//! placeholder
#![allow(missing_docs)]
pub mod imports {
    wit_bindgen::generate!({ world: "imports", path: "../../wit", generate_all, pub_export_macro: true });
}
pub mod dialect {
    wit_bindgen::generate!({ world: "dialect", path: "../../wit", pub_export_macro: true,
      with: {
        "atoll:plugin/types@0.1.0": crate::imports::atoll::plugin::types,
        "atoll:plugin/log@0.1.0": crate::imports::atoll::plugin::log,
        "atoll:plugin/clock@0.1.0": crate::imports::atoll::plugin::clock,
        "atoll:plugin/random@0.1.0": crate::imports::atoll::plugin::random,
        "atoll:plugin/config@0.1.0": crate::imports::atoll::plugin::config,
        "atoll:plugin/kv@0.1.0": crate::imports::atoll::plugin::kv,
        "atoll:plugin/tokenizer@0.1.0": crate::imports::atoll::plugin::tokenizer,
        "atoll:plugin/metrics@0.1.0": crate::imports::atoll::plugin::metrics,
      } });
}
pub mod placement {
    wit_bindgen::generate!({ world: "placement", path: "../../wit", pub_export_macro: true,
      with: {
        "atoll:plugin/types@0.1.0": crate::imports::atoll::plugin::types,
        "atoll:plugin/log@0.1.0": crate::imports::atoll::plugin::log,
        "atoll:plugin/config@0.1.0": crate::imports::atoll::plugin::config,
      } });
}
