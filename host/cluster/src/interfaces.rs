//! The machine's network interfaces, as far as its system tells without being asked to do anything.
//! Nothing is probed and no setting is touched.
//!
//! Two nodes of one network have addresses with a prefix in common; what kind of cable lies between
//! them is what both interfaces say that they are. Where the system does not tell, or two ways between
//! the same nodes are of different kinds, the kind is `unknown`: better than a guess that plans are
//! made with.

use std::net::IpAddr;
#[cfg(any(target_os = "linux", test))]
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Most interfaces that a node tells of.
const MAX_INTERFACES: usize = 16;

/// Most addresses of one of them.
const MAX_ADDRESSES: usize = 8;

/// One interface that has an address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Interface {
    /// As the system calls it.
    pub name: String,
    /// `ethernet`, `wifi`, `thunderbolt` or `unknown`.
    pub kind: String,
    /// What its cable is said to carry.
    pub bits_per_second: Option<u64>,
    /// Its addresses.
    pub addresses: Vec<Address>,
}

impl Interface {
    /// Whether both have addresses in one network.
    fn meets(&self, other: &Self) -> bool {
        let mut near = self.addresses.iter().take(MAX_ADDRESSES);
        let far = || other.addresses.iter().take(MAX_ADDRESSES);
        near.any(|&a| far().any(|&b| a.meets(b)))
    }
}

/// An address and the network it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The interface's own.
    pub ip: IpAddr,
    /// Bits that the network's addresses have in common.
    pub prefix: u8,
}

impl Address {
    /// Whether it says where it is: every interface has link-local and loopback addresses.
    fn is_telling(self) -> bool {
        match self.ip {
            IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_unspecified(),
            IpAddr::V6(ip) => {
                !ip.is_loopback() && !ip.is_unspecified() && !ip.is_unicast_link_local()
            }
        }
    }

    /// Whether both are in one network.
    fn meets(self, other: Self) -> bool {
        let bits = |ip: IpAddr| match ip {
            // From the first bit on.
            IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
            IpAddr::V6(ip) => ip.to_bits(),
        };
        let most = if self.ip.is_ipv4() { 32 } else { 128 };
        let prefix = self.prefix;
        self.ip.is_ipv4() == other.ip.is_ipv4()
            && prefix == other.prefix
            && (1..=most).contains(&prefix)
            && (bits(self.ip) ^ bits(other.ip)).leading_zeros() >= u32::from(prefix)
    }
}

/// The kind of the way between two machines with these interfaces.
#[must_use]
pub fn kind_between(here: &[Interface], there: &[Interface]) -> &'static str {
    let mut kinds: Vec<&'static str> = Vec::new();
    // The other side's list is another node's words.
    for near in here.iter().take(MAX_INTERFACES) {
        for far in there.iter().take(MAX_INTERFACES) {
            if let Some(kind) = joined(&near.kind, &far.kind).filter(|_| near.meets(far)) {
                kinds.push(kind);
            }
        }
    }
    kinds.dedup();
    match kinds.as_slice() {
        [kind] => kind,
        _ => "unknown",
    }
}

/// The kind of a way with these ends; nothing where one is not known, or they cannot be one cable.
fn joined(a: &str, b: &str) -> Option<&'static str> {
    match (a, b) {
        ("thunderbolt", "thunderbolt") => Some("thunderbolt"),
        ("ethernet", "ethernet") => Some("ethernet"),
        // Over the air at one end at least.
        ("wifi", "wifi" | "ethernet") | ("ethernet", "wifi") => Some("wifi"),
        _ => None,
    }
}

/// What the system tells of this machine's interfaces.
#[must_use]
pub fn read() -> Vec<Interface> {
    let networks = sysinfo::Networks::new_with_refreshed_list();
    #[cfg(target_os = "macos")]
    let ports = mac_ports();
    let mut interfaces: Vec<Interface> = networks
        .iter()
        .map(|(name, network)| {
            let addresses = network.ip_networks().iter().map(|network| Address {
                ip: network.addr,
                prefix: network.prefix,
            });
            let telling = addresses.filter(|address| address.is_telling());
            #[cfg(target_os = "linux")]
            let (kind, bits_per_second) = linux(Path::new("/sys/class/net"), name);
            #[cfg(target_os = "macos")]
            let (kind, bits_per_second) = (ports.get(name).copied().unwrap_or("unknown"), None);
            #[cfg(not(any(target_os = "linux", target_os = "macos")))]
            let (kind, bits_per_second) = ("unknown", None);
            Interface {
                name: name.clone(),
                kind: kind.to_owned(),
                bits_per_second,
                addresses: telling.take(MAX_ADDRESSES).collect(),
            }
        })
        .filter(|interface| !interface.addresses.is_empty())
        .collect();
    interfaces.sort_by(|a, b| a.name.cmp(&b.name));
    interfaces.truncate(MAX_INTERFACES);
    interfaces
}

/// RDMA devices by name: a fact of the machine, whether anything uses them or not.
#[must_use]
pub fn rdma_devices() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/sys/class/infiniband") else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.take(MAX_INTERFACES).collect();
    names.sort();
    names
}

/// Kind and speed of an interface below `/sys/class/net`, as the kernel's
/// `Documentation/ABI/testing/sysfs-class-net` has it.
#[cfg(any(target_os = "linux", test))]
fn linux(folder: &Path, name: &str) -> (&'static str, Option<u64>) {
    const ETHERNET: &str = "1";
    let own = folder.join(name);
    let text = |file: &str| std::fs::read_to_string(own.join(file)).unwrap_or_default();
    // In megabits; -1 or an error where there is none.
    let speed = text("speed")
        .trim()
        .parse()
        .ok()
        .filter(|&speed: &i64| speed > 0);
    let speed = speed.and_then(|speed| u64::try_from(speed).ok()?.checked_mul(1_000_000));
    if text("type").trim() != ETHERNET {
        return ("unknown", speed);
    }
    if own.join("wireless").exists() || own.join("phy80211").exists() {
        return ("wifi", speed);
    }
    let driver = std::fs::read_link(own.join("device/driver")).unwrap_or_default();
    if driver
        .file_name()
        .is_some_and(|name| name == "thunderbolt-net")
    {
        return ("thunderbolt", speed);
    }
    if own.join("device").exists() {
        return ("ethernet", speed);
    }
    // A bridge is what its ports are. Anything else without a device is a tunnel or made up.
    let Ok(ports) = std::fs::read_dir(own.join("brif")) else {
        return ("unknown", speed);
    };
    let ports = ports.filter_map(|port| port.ok()?.file_name().into_string().ok());
    let mut kinds: Vec<&str> = ports
        .take(MAX_INTERFACES)
        // A bridge is no port of a bridge, so this comes to an end.
        .filter(|port| port != name && !folder.join(port).join("brif").exists())
        .map(|port| linux(folder, &port).0)
        .filter(|&kind| kind != "unknown")
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    match kinds.as_slice() {
        [kind] => (kind, speed),
        _ => ("unknown", speed),
    }
}

/// Kinds by device, from macOS's own list of hardware ports. It is asked once: it takes a moment, and
/// cables that come later have names that are in it already.
#[cfg(target_os = "macos")]
fn mac_ports() -> &'static std::collections::HashMap<String, &'static str> {
    use std::collections::HashMap;
    static PORTS: std::sync::OnceLock<HashMap<String, &'static str>> = std::sync::OnceLock::new();
    PORTS.get_or_init(|| {
        let listed = std::process::Command::new("/usr/sbin/networksetup")
            .arg("-listallhardwareports")
            .output();
        let text = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        hardware_ports(&text.unwrap_or_default()).collect()
    })
}

/// Devices and their kinds in what `networksetup -listallhardwareports` writes.
#[cfg(any(target_os = "macos", test))]
fn hardware_ports(text: &str) -> impl Iterator<Item = (String, &'static str)> {
    text.split("\n\n").filter_map(|port| {
        let field = |name: &str| port.lines().find_map(|line| line.strip_prefix(name));
        let (port, device) = (field("Hardware Port: ")?, field("Device: ")?);
        let kind = match port {
            // "Thunderbolt Ethernet" is an adapter with a socket for Ethernet.
            _ if port.contains("Ethernet") || port.contains("LAN") => "ethernet",
            _ if port.contains("Thunderbolt") => "thunderbolt",
            "Wi-Fi" | "AirPort" => "wifi",
            _ => "unknown",
        };
        Some((device.to_owned(), kind))
    })
}

#[cfg(test)]
mod tests;
