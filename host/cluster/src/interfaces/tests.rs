use std::fs;
use std::os::unix::fs::symlink;

use super::*;

fn interface(kind: &str, addresses: &[(&str, u8)]) -> Interface {
    let address = |&(ip, prefix): &(&str, u8)| Address {
        ip: ip.parse().unwrap(),
        prefix,
    };
    Interface {
        name: kind.to_owned(),
        kind: kind.to_owned(),
        bits_per_second: None,
        addresses: addresses.iter().map(address).collect(),
    }
}

#[test]
fn two_machines_meet_where_their_networks_do() {
    let desk = [
        interface("ethernet", &[("192.168.1.5", 24), ("2001:db8::5", 64)]),
        interface("thunderbolt", &[("169.254.10.1", 16)]),
    ];
    let between = |there: Interface| kind_between(&desk, &[there]);
    assert_eq!(
        between(interface("ethernet", &[("192.168.1.9", 24)])),
        "ethernet"
    );
    assert_eq!(
        between(interface("ethernet", &[("2001:db8::9", 64)])),
        "ethernet"
    );
    assert_eq!(between(interface("wifi", &[("192.168.1.9", 24)])), "wifi");
    assert_eq!(
        between(interface("thunderbolt", &[("169.254.99.2", 16)])),
        "thunderbolt"
    );
    // Elsewhere, of another size, another family, or a cable with two different ends.
    for (kind, address) in [
        ("ethernet", ("192.168.2.9", 24)),
        ("ethernet", ("192.168.1.9", 16)),
        ("ethernet", ("2001:db8:0:1::9", 64)),
        ("ethernet", ("169.254.10.3", 16)),
        ("unknown", ("192.168.1.9", 24)),
    ] {
        assert_eq!(
            between(interface(kind, &[address])),
            "unknown",
            "{address:?}"
        );
    }
}

#[test]
fn two_different_ways_are_not_guessed_between() {
    let both = |host: u8| {
        [
            interface("ethernet", &[(&format!("10.0.0.{host}"), 24)]),
            interface("thunderbolt", &[(&format!("10.0.1.{host}"), 24)]),
            // What container programs make on every machine.
            interface("unknown", &[("172.17.0.1", 16)]),
        ]
    };
    assert_eq!(kind_between(&both(1), &both(2)), "unknown");
    let [ethernet, _, containers] = both(1);
    assert_eq!(
        kind_between(&[containers, ethernet], &both(2)),
        "ethernet",
        "what is known decides"
    );
}

#[test]
fn nonsense_from_another_node_meets_nobody() {
    let here = [interface("ethernet", &[("10.0.0.1", 24)])];
    for prefix in [0, 33, 129, 255] {
        let there = [interface("ethernet", &[("10.0.0.2", prefix)])];
        assert_eq!(kind_between(&there, &there.clone()), "unknown", "{prefix}");
        assert_eq!(kind_between(&here, &there), "unknown");
    }
}

#[test]
fn link_local_addresses_tell_nothing() {
    let telling = |ip: &str| {
        let ip = ip.parse().unwrap();
        Address { ip, prefix: 64 }.is_telling()
    };
    assert!(telling("192.168.1.1") && telling("169.254.3.4") && telling("fd00::1"));
    for ip in ["fe80::1", "::1", "127.0.0.1", "0.0.0.0", "::"] {
        assert!(!telling(ip), "{ip}");
    }
}

#[test]
fn linux_says_what_an_interface_is() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let make = |name: &str, kind: &str, speed: &str| {
        let own = root.join(name);
        fs::create_dir(&own).unwrap();
        fs::write(own.join("type"), format!("{kind}\n")).unwrap();
        fs::write(own.join("speed"), speed).unwrap();
        own
    };
    fs::create_dir(make("eth0", "1", "10000\n").join("device")).unwrap();
    let wifi = make("wlan0", "1", "");
    fs::create_dir(wifi.join("device")).unwrap();
    fs::create_dir(wifi.join("wireless")).unwrap();
    let bolt = make("thunderbolt0", "1", "-1\n").join("device");
    fs::create_dir(&bolt).unwrap();
    symlink(
        "/sys/bus/thunderbolt/drivers/thunderbolt-net",
        bolt.join("driver"),
    )
    .unwrap();
    make("lo", "772", "");
    make("tun0", "65534", "10\n");
    make("veth0", "1", "10000\n");
    for (bridge, ports) in [
        ("br0", &["eth0", "veth0"][..]),
        ("br1", &["eth0", "wlan0"]),
        ("br2", &["veth0", "br2", "br0"]),
    ] {
        let ports_of = make(bridge, "1", "").join("brif");
        fs::create_dir(&ports_of).unwrap();
        for port in ports {
            fs::write(ports_of.join(port), "").unwrap();
        }
    }
    for (name, kind, speed) in [
        ("eth0", "ethernet", Some(10_000_000_000)),
        ("wlan0", "wifi", None),
        ("thunderbolt0", "thunderbolt", None),
        ("lo", "unknown", None),
        ("tun0", "unknown", Some(10_000_000)),
        ("veth0", "unknown", Some(10_000_000_000)),
        ("br0", "ethernet", None),
        ("br1", "unknown", None),
        ("br2", "unknown", None),
        ("gone", "unknown", None),
    ] {
        assert_eq!(linux(root, name), (kind, speed), "{name}");
    }
}

#[test]
fn macos_lists_its_ports() {
    let text = "\nHardware Port: Ethernet\nDevice: en0\nEthernet Address: 00:11:22:33:44:55\n\n\
        Hardware Port: Thunderbolt Bridge\nDevice: bridge0\nEthernet Address: 00:11:22:33:44:56\n\n\
        Hardware Port: Wi-Fi\nDevice: en1\nEthernet Address: 00:11:22:33:44:57\n\n\
        Hardware Port: Thunderbolt Ethernet Slot 1\nDevice: en6\n\nHardware Port: iPhone USB\nDevice: en8\n\n\
        VLAN Configurations\n===================\n";
    let ports: Vec<_> = hardware_ports(text).collect();
    let expected = [
        ("en0", "ethernet"),
        ("bridge0", "thunderbolt"),
        ("en1", "wifi"),
        ("en6", "ethernet"),
        ("en8", "unknown"),
    ];
    assert_eq!(
        ports,
        expected.map(|(device, kind)| (device.to_owned(), kind))
    );
}

#[test]
fn this_machine_is_read_without_harm() {
    for interface in read() {
        assert!(!interface.addresses.is_empty());
        assert!(
            interface
                .addresses
                .iter()
                .all(|address| address.is_telling())
        );
    }
    assert!(rdma_devices().iter().all(|name| !name.is_empty()));
}
