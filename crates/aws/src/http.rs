//! The HTTP client of all calls to AWS. It uses the proxy of the environment (`HTTPS_PROXY`,
//! `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`), except for the addresses at which a machine or container
//! gets its credentials. A proxy could not reach those, might answer with the credentials of its
//! own machine, and must not see them.

use std::fmt;
use std::net::IpAddr;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use url::{Host, Url};

/// The IPv6 addresses of credentials on EC2 and EKS Pod Identity. All IPv4 ones are link-local.
const IPV6_ADDRESSES: [&str; 2] = ["fd00:ec2::254", "fd00:ec2::23"];

/// Variables that name other such endpoints.
const CREDENTIAL_ENDPOINTS: [&str; 2] = [
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
];

/// The proxy variables; the SDK reads them in lower case too.
const PROXIES: [&str; 3] = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"];

/// A client with its own connections. `None` without a proxy: the SDK's own client is cheaper to
/// create.
pub(super) fn client() -> Option<SharedHttpClient> {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if !PROXIES
        .iter()
        .any(|name| is_set(name) || is_set(&name.to_ascii_lowercase()))
    {
        return None;
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "the SDK reads the same two variables"
    )]
    let named = CREDENTIAL_ENDPOINTS
        .iter()
        .filter_map(|name| std::env::var(name).ok());
    let hosts = named
        .filter_map(|url| Some(Url::parse(&url).ok()?.host()?.to_owned()))
        .collect();
    let by_proxy = with_proxy(ProxyConfig::from_env);
    Some(SharedHttpClient::new(ByAddress {
        by_proxy,
        direct: with_proxy(ProxyConfig::disabled),
        direct_hosts: Direct(hosts),
    }))
}

/// The SDK's own client, with this proxy configuration.
fn with_proxy(proxy: fn() -> ProxyConfig) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = ConnectorBuilder::default()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .proxy_config(proxy());
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.build()
    })
}

/// Chooses a client, or a connector, by the host of a request.
#[derive(Debug, Clone)]
struct ByAddress<C> {
    by_proxy: C,
    direct: C,
    direct_hosts: Direct,
}

impl HttpClient for ByAddress<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connector = |client: &SharedHttpClient| client.http_connector(settings, components);
        let (by_proxy, direct) = (connector(&self.by_proxy), connector(&self.direct));
        SharedHttpConnector::new(ByAddress {
            by_proxy,
            direct,
            direct_hosts: self.direct_hosts.clone(),
        })
    }
}

impl HttpConnector for ByAddress<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if self.direct_hosts.contains(request.uri()) {
            self.direct.call(request)
        } else {
            self.by_proxy.call(request)
        }
    }
}

/// Hosts that are reached directly, besides the known ones.
#[derive(Clone, Default)]
struct Direct(Vec<Host<String>>);

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Direct").field(&self.0.len()).finish()
    }
}

impl Direct {
    /// Whether this URL must be reached without a proxy.
    fn contains(&self, uri: &str) -> bool {
        let Ok(url) = Url::parse(uri) else {
            return false;
        };
        let Some(host) = url.host() else { return false };
        let known = match &host {
            Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(address) => address.is_loopback() || address.is_link_local(),
            Host::Ipv6(address) => match IpAddr::V6(*address).to_canonical() {
                IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local(),
                IpAddr::V6(v6) => {
                    v6.is_loopback() || IPV6_ADDRESSES.iter().any(|known| known.parse() == Ok(v6))
                }
            },
        };
        known || self.0.iter().any(|named| *named == host.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_never_asked_for_by_a_proxy() {
        let direct = Direct(vec![Host::parse("credentials.internal").unwrap()]);
        for (url, held) in [
            ("http://169.254.169.254/latest/api/token", true),
            ("http://[fd00:ec2::254]/latest/api/token", true),
            ("http://169.254.170.2/v2/credentials/x", true),
            ("http://169.254.170.23/v1/credentials", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("http://[::ffff:169.254.169.254]/", true),
            ("http://localhost:8000/", true),
            ("http://127.0.0.5:8000/", true),
            ("http://[::1]:8000/", true),
            ("https://Credentials.internal:8443/x", true),
            ("https://dynamodb.us-east-1.amazonaws.com/", false),
            ("https://sts.eu-west-1.amazonaws.com/", false),
            ("https://localhost.example.com/", false),
            ("http://[fd00:ec2::253]/", false),
            ("http://10.0.0.1/", false),
            ("no url", false),
        ] {
            assert_eq!(direct.contains(url), held, "{url}");
        }
    }
}
