//! Does with the official Rust client what it is told: one JSON object a line on stdin, answers and events the same way
//! on stdout. What the calls mean is written in ../src/calls.ts; nothing is checked here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::prelude::{Engine, BASE64_STANDARD};
use rocketmq::conf::{ClientOption, ProducerOption, SimpleConsumerOption};
use rocketmq::error::ClientError;
use rocketmq::model::common::{FilterExpression, FilterType};
use rocketmq::model::message::{Message, MessageBuilder, MessageView};
use rocketmq::model::transaction::{Transaction, TransactionResolution};
use rocketmq::{Producer, SimpleConsumer};
use serde_json::{json, Map, Value};
use tokio::io::{AsyncBufReadExt, BufReader};

struct Reader {
    consumer: SimpleConsumer,
    topic: String,
    filter: FilterExpression,
}

#[derive(Clone)]
enum Client {
    Producer(Arc<Producer>),
    Reader(Arc<Reader>),
}

#[derive(Clone)]
struct Driver {
    endpoints: String,
    tls: bool,
    access_key: String,
    secret: String,
    clients: Arc<Mutex<HashMap<String, Client>>>,
    held: Arc<Mutex<HashMap<String, Arc<MessageView>>>>,
}

static REFS: AtomicUsize = AtomicUsize::new(0);

#[tokio::main]
async fn main() {
    let args = std::env::args().nth(1).expect("where to connect");
    let target: Value = serde_json::from_str(&args).expect("JSON");
    let driver = Driver {
        endpoints: text(&target, "endpoints"),
        tls: target["tls"].as_bool().unwrap_or(false),
        access_key: text(&target, "accessKey"),
        secret: text(&target, "secret"),
        clients: Arc::default(),
        held: Arc::default(),
    };
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let said: Value = serde_json::from_str(&line).expect("JSON");
        let driver = driver.clone();
        tokio::spawn(async move {
            let id = said["id"].clone();
            // A client that panics shall not leave its call unanswered.
            let told = match tokio::spawn(async move { driver.call(said).await }).await {
                Ok(Ok(result)) => json!({ "id": id, "result": result }),
                Ok(Err(error)) => json!({ "id": id, "error": { "name": "ClientError", "message": error.to_string() } }),
                Err(panic) => json!({ "id": id, "error": { "name": "panic", "message": panic.to_string() } }),
            };
            println!("{told}");
        });
    }
    std::process::exit(0);
}

impl Driver {
    async fn call(&self, said: Value) -> Result<Value, ClientError> {
        let name = text(&said, "as");
        match said["call"].as_str().unwrap_or_default() {
            "producer" => self.producer(name, &said).await,
            "send" => {
                let producer = self.producer_of(&name);
                let mut receipts = Vec::new();
                for one in said["messages"].as_array().into_iter().flatten() {
                    let receipt = producer.send(message(one, false)?).await?;
                    receipts.push(json!({ "messageId": receipt.message_id() }));
                }
                Ok(json!({ "receipts": receipts }))
            }
            "transaction" => {
                let producer = self.producer_of(&name);
                let begun = producer.send_transaction_message(message(&said["message"], true)?).await?;
                let id = begun.message_id().to_string();
                match said["end"].as_str() {
                    Some("commit") => begun.commit().await?,
                    Some("rollback") => begun.rollback().await?,
                    _ => (),
                }
                Ok(json!({ "messageId": id }))
            }
            "simple" => self.simple(name, &said).await,
            "receive" => {
                let reader = self.reader_of(&name);
                let max = said["max"].as_i64().unwrap_or(32) as i32;
                let invisible = Duration::from_millis(said["invisibleMs"].as_u64().unwrap_or(10_000));
                let views: Vec<Value> = received(&reader, max, invisible)
                    .await?
                    .into_iter()
                    .map(|message| self.view(message))
                    .collect();
                Ok(json!({ "messages": views }))
            }
            "ack" => {
                let message = self.held.lock().unwrap()[&text(&said, "ref")].clone();
                self.reader_of(&name).consumer.ack(message.as_ref()).await?;
                Ok(json!({}))
            }
            "close" => {
                let client = self.clients.lock().unwrap().remove(&name);
                if let Some(client) = client {
                    close(client).await?;
                }
                Ok(json!({}))
            }
            other => panic!("this client cannot {other}"),
        }
    }

    async fn producer(&self, name: String, said: &Value) -> Result<Value, ClientError> {
        let mut option = ProducerOption::default();
        option.set_topics(texts(&said["topics"]));
        let mut producer = match said["checker"].as_str() {
            None => Producer::new(option, self.option())?,
            Some(answer) => {
                let (driver, as_name, answer) = (self.clone(), name.clone(), answer.to_string());
                let checker = move |_transaction: String, message: MessageView| {
                    println!("{}", json!({ "event": "check", "as": as_name, "message": driver.view(message) }));
                    match answer.as_str() {
                        "commit" => TransactionResolution::COMMIT,
                        "rollback" => TransactionResolution::ROLLBACK,
                        _ => TransactionResolution::UNKNOWN,
                    }
                };
                Producer::new_transaction_producer(option, self.option(), Box::new(checker))?
            }
        };
        producer.start().await?;
        self.keep(name, Client::Producer(Arc::new(producer)));
        Ok(json!({}))
    }

    async fn simple(&self, name: String, said: &Value) -> Result<Value, ClientError> {
        let subscription = &said["subscriptions"][0];
        let topic = text(subscription, "topic");
        let kind = match subscription["kind"].as_str() {
            Some("sql") => FilterType::Sql,
            _ => FilterType::Tag,
        };
        let mut option = SimpleConsumerOption::default();
        option.set_consumer_group(text(said, "group"));
        option.set_topics(vec![topic.clone()]);
        let mut client = self.option();
        client.set_long_polling_timeout(Duration::from_millis(said["awaitMs"].as_u64().unwrap_or(3_000)));
        let mut consumer = SimpleConsumer::new(option, client)?;
        consumer.start().await?;
        let filter = FilterExpression::new(kind, text(subscription, "filter"));
        self.keep(name, Client::Reader(Arc::new(Reader { consumer, topic, filter })));
        Ok(json!({}))
    }

    fn option(&self) -> ClientOption {
        let mut option = ClientOption::default();
        option.set_access_url(self.endpoints.clone());
        option.set_enable_tls(self.tls);
        if !self.access_key.is_empty() {
            option.set_access_key(self.access_key.clone());
            option.set_secret_key(self.secret.clone());
        }
        option
    }

    fn keep(&self, name: String, client: Client) {
        self.clients.lock().unwrap().insert(name, client);
    }

    fn producer_of(&self, name: &str) -> Arc<Producer> {
        match self.clients.lock().unwrap().get(name) {
            Some(Client::Producer(producer)) => producer.clone(),
            _ => panic!("{name} is no producer"),
        }
    }

    fn reader_of(&self, name: &str) -> Arc<Reader> {
        match self.clients.lock().unwrap().get(name) {
            Some(Client::Reader(reader)) => reader.clone(),
            _ => panic!("{name} is no simple consumer"),
        }
    }

    fn view(&self, message: MessageView) -> Value {
        let reference = format!("m{}", REFS.fetch_add(1, Ordering::Relaxed));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
        let view = json!({
            "ref": reference,
            "messageId": message.message_id(),
            "topic": message.topic(),
            "body": BASE64_STANDARD.encode(message.body()),
            "tag": message.tag(),
            "keys": message.keys(),
            "properties": message.properties(),
            "group": message.message_group(),
            "bornAtMs": message.born_timestamp() * 1000,
            "attempt": message.delivery_attempt(),
            "atMs": now.as_millis() as u64,
        });
        self.held.lock().unwrap().insert(reference, Arc::new(message));
        view
    }
}

#[cfg(not(feature = "older"))]
async fn received(reader: &Reader, max: i32, invisible: Duration) -> Result<Vec<MessageView>, ClientError> {
    let Reader { consumer, topic, filter } = reader;
    consumer.receive_with(topic, filter, max, invisible).await
}

#[cfg(feature = "older")]
async fn received(reader: &Reader, max: i32, invisible: Duration) -> Result<Vec<MessageView>, ClientError> {
    let Reader { consumer, topic, filter } = reader;
    consumer.receive_with_batch_size(topic, filter, max, invisible).await
}

/// A client that is still in use by another call is let go when that ends.
#[cfg(not(feature = "older"))]
async fn close(client: Client) -> Result<(), ClientError> {
    match client {
        Client::Producer(producer) => match Arc::try_unwrap(producer) {
            Ok(producer) => producer.shutdown().await,
            Err(_) => Ok(()),
        },
        Client::Reader(reader) => match Arc::try_unwrap(reader) {
            Ok(reader) => reader.consumer.shutdown().await,
            Err(_) => Ok(()),
        },
    }
}

/// Older ones can only be dropped.
#[cfg(feature = "older")]
async fn close(_client: Client) -> Result<(), ClientError> {
    Ok(())
}

fn message(said: &Value, in_transaction: bool) -> Result<impl Message, ClientError> {
    let body = BASE64_STANDARD.decode(text(said, "body")).expect("base64");
    let mut builder = MessageBuilder::builder().set_topic(text(said, "topic")).set_body(body);
    if let Some(tag) = said["tag"].as_str() {
        builder = builder.set_tag(tag);
    }
    if said["keys"].is_array() {
        builder = builder.set_keys(texts(&said["keys"]));
    }
    if let Some(properties) = said["properties"].as_object() {
        builder = builder.set_properties(pairs(properties));
    }
    if let Some(group) = said["group"].as_str() {
        builder = builder.set_message_group(group);
    }
    if let Some(ms) = said["deliverAtMs"].as_i64() {
        builder = builder.set_delivery_timestamp(ms / 1000);
    }
    if in_transaction {
        builder = builder.enable_transaction();
    }
    builder.build()
}

fn text(said: &Value, key: &str) -> String {
    said[key].as_str().unwrap_or_default().to_string()
}

fn texts(said: &Value) -> Vec<String> {
    let list = said.as_array().into_iter().flatten();
    list.filter_map(|one| one.as_str()).map(String::from).collect()
}

fn pairs(said: &Map<String, Value>) -> HashMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    said.iter().map(|(key, value)| (key.clone(), text(value))).collect()
}
