//! A web server for tests: canned answers in order, and what was asked.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One answer.
pub(crate) struct Answer {
    status: u16,
    content_type: &'static str,
    /// More headers.
    headers: String,
    body: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(status: u16, content_type: &'static str, body: String) -> Self {
        Self { status, content_type, headers: String::new(), body: body.into_bytes() }
    }

    pub(crate) fn bytes(content_type: &'static str, body: Vec<u8>) -> Self {
        Self { status: 200, content_type, headers: String::new(), body }
    }

    /// The same with more headers, with CRLF between them.
    pub(crate) fn with(self, headers: &str) -> Self {
        Self { headers: format!("{headers}\r\n"), ..self }
    }

    async fn write(self, stream: &mut TcpStream) {
        let head = format!(
            "HTTP/1.1 {} X\r\nContent-Type: {}\r\n{}Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.status,
            self.content_type,
            self.headers,
            self.body.len()
        );
        let _ = stream.write_all(&[head.as_bytes(), &self.body].concat()).await;
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }
}

/// Serves the answers, one a connection; returns the URL, and the requests as they came.
pub(crate) async fn serve(answers: Vec<Answer>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let requests = Arc::new(Mutex::new(vec![]));
    let kept = Arc::clone(&requests);
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let request = read_request(&mut stream).await;
            kept.lock().expect("alone").push(request);
            answer.write(&mut stream).await;
        }
    });
    (url, requests)
}

/// Serves what each request is answered, given its own URL and the request, as long as the test runs.
pub(crate) async fn serve_each(answer: impl Fn(&str, &str) -> Answer + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let own = url.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = read_request(&mut stream).await;
            answer(&own, &request).write(&mut stream).await;
        }
    });
    url
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = vec![];
    let mut buffer = [0; 8192];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ").and_then(|n| n.trim().parse::<usize>().ok())
            });
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(length) if length > 0 => bytes.extend_from_slice(&buffer[..length]),
            _ => return text,
        }
    }
}
