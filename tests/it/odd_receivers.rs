//! Receivers whose responses deviate from HTTP: a response that curl accepts as a complete 2xx
//! counts as delivered.

use std::sync::Arc;
use std::time::Duration;

use tableferry::domain::error_chain::in_words;
use tableferry::webhooks::{Answer, Outgoing, SendError, WebhookClient, WebhookLimits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::{TestNames, policy};

const LIMITS: WebhookLimits = WebhookLimits {
    attempt: Duration::from_secs(30),
    connect: Duration::from_secs(10),
    body: Duration::from_millis(500),
};

async fn send(url: &str, body: String) -> Result<Answer, SendError> {
    let client =
        WebhookClient::new(policy(true, "", ""), Arc::new(TestNames::default()), LIMITS).unwrap();
    let request = Outgoing {
        url,
        webhook_id: "msg_1",
        timestamp_s: 1,
        signature: "v1,x",
        extra: &[],
        trace_parent: None,
        body,
    };
    timeout(Duration::from_secs(60), client.send(request))
        .await
        .expect("an attempt ends")
}

/// How far a connection is read (`{}`: to the end of its request) before it is `answer`ed.
async fn receiver<F: Future<Output = ()> + Send>(
    heard: usize,
    answer: impl Fn(TcpStream) -> F + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            while bytes.len() < heard
                && !bytes.ends_with(b"{}")
                && stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0)
            {}
            answer(stream).await;
        }
    });
    url
}

/// Sends this and closes in order.
async fn says(bytes: &'static [u8]) -> String {
    receiver(usize::MAX, move |mut stream| async move {
        // The client may have stopped reading.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
    })
    .await
}

#[tokio::test]
async fn whatever_is_a_complete_2xx_is_delivered() {
    let cases: [(&str, &[u8], u16); 34] = [
        ("HTTP/1.0, closed without a length", b"HTTP/1.0 200 OK\r\n\r\nfine", 200),
        ("HTTP/1.0 with keep-alive", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nfine", 200),
        ("HTTP/1.1, closed without a length", b"HTTP/1.1 200 OK\r\n\r\nfine", 200),
        ("204 with a length", b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nfine", 204),
        ("204 with chunks", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n", 204),
        ("205 with a body", b"HTTP/1.1 205 Reset Content\r\nContent-Length: 4\r\n\r\nfine", 205),
        ("no reason", b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200),
        ("no reason but its blank", b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", 200),
        ("a reason beyond ASCII", b"HTTP/1.1 200 \xc3\xbc\xff\r\nContent-Length: 0\r\n\r\n", 200),
        ("an unknown 2xx", b"HTTP/1.1 299 Whatever\r\nContent-Length: 0\r\n\r\n", 299),
        ("a folded header", b"HTTP/1.1 200 OK\r\nX-Long: one\r\n two\r\n\tthree\r\nContent-Length: 0\r\n\r\n", 200),
        ("a header without a colon", b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 0\r\n\r\n", 200),
        ("a header with a blank in its name", b"HTTP/1.1 200 OK\r\nX Y: z\r\nContent-Length: 0\r\n\r\n", 200),
        ("a blank before the colon", b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", 200),
        ("a header without a name", b"HTTP/1.1 200 OK\r\n: z\r\nContent-Length: 0\r\n\r\n", 200),
        ("an empty value", b"HTTP/1.1 200 OK\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n", 200),
        ("bytes beyond ASCII in a value", b"HTTP/1.1 200 OK\r\nX-Name: \xfc\xc3\xbc\r\nContent-Length: 0\r\n\r\n", 200),
        ("control characters in a value", b"HTTP/1.1 200 OK\r\nX-Odd: a\x01b\r\nContent-Length: 0\r\n\r\n", 200),
        ("brackets in a name", b"HTTP/1.1 200 OK\r\nX(Y): z\r\nContent-Length: 0\r\n\r\n", 200),
        ("bare line feeds", b"HTTP/1.1 200 OK\nContent-Length: 4\n\nfine", 200),
        ("an empty line before it", b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
        ("100 before it", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
        (
            "102 and 103 before it",
            b"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 202 A\r\nContent-Length: 0\r\n\r\n",
            202,
        ),
        ("chunks with trailers", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nfine\r\n0\r\nX-Sum: 1\r\n\r\n", 200),
        ("chunks in capitals", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", 200),
        ("chunks and a length", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n0\r\n\r\n", 200),
        ("an encoding besides chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nfine", 200),
        ("broken chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense", 200),
        ("the same length twice", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nfine", 200),
        ("more than its length", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nfine and more", 200),
        ("less than its length", b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nfine", 200),
        ("two answers", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", 200),
        ("a compression that is none", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nfine", 200),
        ("an upgrade that is offered", b"HTTP/1.1 200 OK\r\nUpgrade: h2,h2c\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n", 200),
    ];
    let mut wrong = Vec::new();
    for (what, bytes, status) in cases {
        match send(&says(bytes).await, "{}".to_owned()).await {
            Ok(answer) if answer.status_code == status => {}
            Ok(answer) => wrong.push(format!("{what}: {answer:?}")),
            Err(error) => wrong.push(format!("{what}: {}", in_words(&error))),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn what_is_no_2xx_stays_none() {
    for bytes in [
        &b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"[..],
        b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"200 OK",
        b"",
    ] {
        let result = send(&says(bytes).await, "{}".to_owned()).await;
        assert!(
            result.is_err(),
            "{}: {result:?}",
            String::from_utf8_lossy(bytes)
        );
    }
}

/// Closes so that the other side sees a reset.
fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
    drop(stream);
}

#[tokio::test]
async fn an_answer_that_came_before_a_reset_counts() {
    let whole = &b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"[..];
    for bytes in [
        whole,
        b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nfine",
        b"HTTP/1.0 200 OK\r\n\r\nfine",
    ] {
        let url = receiver(usize::MAX, move |mut stream| async move {
            stream.write_all(bytes).await.unwrap();
            reset(stream);
        })
        .await;
        assert_eq!(
            send(&url, "{}".to_owned()).await.unwrap().status_code,
            200,
            "{}",
            String::from_utf8_lossy(bytes)
        );
    }
}

#[tokio::test]
async fn an_early_answer_counts_although_the_body_was_not_read() {
    for (abrupt, status) in [(false, 202), (true, 202), (false, 413), (true, 413)] {
        let url = receiver(1, move |mut stream| async move {
            let answer = format!(
                "HTTP/1.1 {status} Early\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            // More than fits into the buffers of both sides is still in transit, so closing resets
            // the connection either way.
            if abrupt { reset(stream) } else { drop(stream) }
        })
        .await;
        let answer = send(&url, "x".repeat(32 << 20)).await;
        assert_eq!(
            answer
                .map(|answer| answer.status_code)
                .map_err(|error| in_words(&error)),
            Ok(status),
            "abrupt: {abrupt}"
        );
    }
}
