//! The numbers of one integration, and of none beside it.

use super::*;

#[actix_web::test]
async fn a_number_is_deleted_on_the_page_of_its_own_integration_alone() {
    let house = House::new().await;
    let (tenant, settings) = house.furnished("acme").await;
    let (one, other) =
        (house.integration(&tenant, "One", &settings).await, house.integration(&tenant, "Other", &settings).await);
    let new = json!({"number": "+18005550123", "description": "", "integration": one});
    let number = id_of(&house.asks(Inquiry::post_json(format!("/numbers?tenant={tenant}"), new)).await);
    let mut root = house.browser_of("root", Standing::Operator).await;
    let page = |integration: &str| format!("/tenants/{tenant}/integrations/{integration}/numbers");
    let delete = [("do", "delete"), ("id", number.as_str()), ("revision", "1")];
    root.opens(&house, &page(&other)).await;
    root.sends(&house, &page(&other), &delete).await;
    assert_eq!(root.status, 404, "{}", root.text);
    root.opens(&house, &page(&one)).await;
    assert!(root.text.contains("+18005550123"), "it is there: {}", root.text);
    root.sends(&house, &page(&one), &delete).await;
    assert!(root.status == 200 && root.text.contains("There is none"), "{}", root.text);
}
