//! How much was called.

use bellhop_call::ports::Usage;

use super::*;

fn counted(period: &str, tenant: &str, milliseconds: u64) -> Usage {
    Usage { period: period.into(), tenant: tenant.into(), calls: 3, milliseconds }
}

#[actix_web::test]
async fn a_tenant_is_told_of_its_own_calls_and_an_operator_of_all() {
    let house = House::new().await;
    let all = [counted("2026-11", "acme", 90_300), counted("2026-11", "other", 60_000), counted("2026-10", "acme", 1)];
    *house.calls.used.lock().expect("no panic") = all.to_vec();
    let told = house.get("viewer", "/usage").await;
    let (newest, before) = (&told.body["items"][0], &told.body["items"][1]);
    assert_eq!(newest, &json!({"period": "2026-11", "tenant": "acme", "calls": 3, "minutes": 1.51}));
    assert_eq!(before, &json!({"period": "2026-10", "tenant": "acme", "calls": 3, "minutes": 0.0}));
    assert_eq!((told.body["items"].as_array().map(Vec::len), &told.body["next"]), (Some(2), &Value::Null));
    let acme = house.get("operator", &format!("/usage?tenant={}", house.acme)).await.body;
    assert_eq!(acme, told.body);
    let (mut found, mut after) = (vec![], String::new());
    loop {
        let page = house.get("operator", &format!("/usage?limit=1{after}")).await.body;
        let item = &page["items"][0];
        found.push((item["period"].to_string(), item["tenant"].to_string()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let expected: Vec<_> = all.iter().map(|used| (json!(used.period), json!(used.tenant))).collect();
    assert_eq!(found, expected.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect::<Vec<_>>());
}

#[actix_web::test]
async fn what_is_no_day_or_period_is_told() {
    let house = House::new().await;
    for bad in ["per=year", "from=yesterday", "until=2026-02-30", "from=2026-11-26T00:00:00Z", "after=x"] {
        assert_eq!(house.get("viewer", &format!("/usage?{bad}")).await.status, 400, "{bad}");
    }
    let good = house.get("viewer", "/usage?per=day&from=2026-11-01&until=2026-12-01").await;
    assert_eq!(good.status, 200);
    let asked = house.calls.asked.lock().expect("no panic").clone().expect("it was asked");
    assert_eq!((asked.per, asked.from.as_deref()), (bellhop_call::ports::Per::Day, Some("2026-11-01")));
    assert_eq!((asked.until.as_deref(), asked.tenant.as_deref()), (Some("2026-12-01"), Some("acme")));
}
