// Who may call what of billing, what is refused, what comes back.
#include "services/billing/testing/service_fixture.h"

namespace allod::billing::service_test {
namespace {

TEST_F(BillingRpc, GoesFromPriceToInvoiceToTheLastToken) {
  ASSERT_TRUE(CreateBook(Caller::Service("catalog")));
  ASSERT_TRUE(SetAccount(Caller::Operator()));
  const v1::ReserveRequest request = ReserveRequest();
  const auto held = Reserve(request);
  ASSERT_TRUE(held) << held.error().message;
  EXPECT_EQ(held->held().amount(), "0.0321");  // 40 x 50 / 10^6 + 200 x 150.5 / 10^6
  EXPECT_EQ(held->held().currency_code(), "KES");
  const auto record = Settle(request.request_id(), 31, 17);
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(record->name(), "tenants/ke/usageRecords/" + request.request_id());
  EXPECT_EQ(record->cost().amount(), "0.0041085");  // 0.00155 + 0.0025585
  EXPECT_EQ(record->outcome(), v1::OUTCOME_COMPLETED);

  const auto invoice = Invoice("tenants/ke/invoices/current");
  ASSERT_TRUE(invoice) << invoice.error().message;
  EXPECT_EQ(invoice->name(), "tenants/ke/invoices/2026-11");
  EXPECT_EQ(invoice->state(), v1::Invoice::STATE_DRAFT);
  ASSERT_EQ(invoice->lines_size(), 1);
  EXPECT_EQ(invoice->lines(0).prompt_tokens(), 31);
  EXPECT_EQ(invoice->lines(0).completion_tokens(), 17);
  EXPECT_EQ(invoice->lines(0).prompt_price_per_million().amount(), "50");
  EXPECT_EQ(invoice->lines(0).completion_price_per_million().amount(), "150.5");
  EXPECT_EQ(invoice->total().amount(), "0.0041085");
  EXPECT_EQ(Invoice("tenants/ke/invoices/2026-10")->total().amount(), "0");
  EXPECT_EQ(Invoice("tenants/ke/invoices/soon").error().reason, "INVALID_PERIOD");

  const auto check =
      As(Caller::Operator(), *ledger_stub_, &v1::LedgerService::Stub::CheckLedger, v1::CheckLedgerRequest());
  ASSERT_TRUE(check);
  ASSERT_EQ(check->sums_size(), 1);
  EXPECT_EQ(check->sums(0).amount(), "0");
  EXPECT_EQ(check->mismatched_accounts_size(), 0);
  EXPECT_EQ(check->transfer_count(), 2);
  EXPECT_EQ(check->usage_record_count(), 1);
  EXPECT_EQ(check->open_reservation_count(), 0);
}

TEST_F(ComputedUsageRpc, TheBooksAndTheUsageOfAWhileAreOfOneLook) {
  ASSERT_TRUE(CreateBook(Caller::Operator()));
  ASSERT_TRUE(SetAccount(Caller::Operator()));
  const v1::ReserveRequest reservation = ReserveRequest();
  ASSERT_TRUE(Reserve(reservation));
  ASSERT_TRUE(Settle(reservation.request_id(), 1, 2));
  v1::RecordComputedUsageRequest record;
  v1::ComputedUsage& unsettled = *record.add_events() = Event("unsettled");
  for (auto* time : {unsettled.mutable_start_time(), unsettled.mutable_end_time()}) time->set_seconds(Seconds() - 1800);
  ASSERT_TRUE(Record(record));
  v1::CheckLedgerRequest request;
  const auto check = [&] {
    return As(Caller::Operator(), *ledger_stub_, &v1::LedgerService::Stub::CheckLedger, request);
  };
  EXPECT_FALSE(check()->has_usage()) << "not asked for";
  request.mutable_usage()->mutable_start_time()->set_seconds(Seconds() - 3600);
  EXPECT_EQ(check().error().reason, "INVALID_TIME_RANGE");
  request.mutable_usage()->mutable_end_time()->set_seconds(Seconds() + 60);
  const auto both = check();
  ASSERT_TRUE(both) << both.error().message;
  EXPECT_EQ(both->usage_record_count(), 1);
  EXPECT_EQ(both->usage().usage_record_count(), 1);
  EXPECT_EQ(both->usage().completion_tokens(), 2);
  EXPECT_EQ(both->usage().unbilled_count(), 1);
  ASSERT_EQ(both->usage().findings_size(), 1);
  EXPECT_EQ(both->usage().findings(0).usage_record(), "tenants/ke/usageRecords/" + record.events(0).request_id());
}

TEST_F(BillingRpc, LetsOnlyThoseCallWhoMay) {
  const Caller ke = Caller::Tenant("ke"), tz = Caller::Tenant("tz"), gateway = Caller::Service("gateway");
  EXPECT_EQ(CreateBook(ke).error().code, Code::kPermissionDenied);
  EXPECT_EQ(SetAccount(ke).error().code, Code::kPermissionDenied);
  EXPECT_EQ(SetAccount(gateway).error().code, Code::kPermissionDenied);
  EXPECT_EQ(Reserve(ReserveRequest(), ke).error().code, Code::kPermissionDenied);
  EXPECT_EQ(Reserve(ReserveRequest(), Caller::Operator()).error().code, Code::kPermissionDenied);
  EXPECT_EQ(Settle(Uuid::V7().ToString(), 1, 1, v1::OUTCOME_COMPLETED, ke).error().code, Code::kPermissionDenied);
  EXPECT_EQ(Invoice("tenants/ke/invoices/current", tz).error().code, Code::kNotFound);
  v1::ListUsageRecordsRequest list;
  list.set_parent("tenants/ke");
  EXPECT_EQ(As(tz, *usage_stub_, &v1::UsageService::Stub::ListUsageRecords, list).error().code, Code::kNotFound);
  v1::GetBillingAccountRequest account;
  account.set_name("tenants/ke/billingAccount");
  EXPECT_EQ(As(tz, *accounts_stub_, &v1::BillingAccountService::Stub::GetBillingAccount, account).error().code,
            Code::kNotFound);
  v1::ListLedgerAccountsRequest ledger;
  ledger.set_parent("tenants/ke");
  EXPECT_EQ(As(tz, *ledger_stub_, &v1::LedgerService::Stub::ListLedgerAccounts, ledger).error().code, Code::kNotFound);
  EXPECT_EQ(As(ke, *ledger_stub_, &v1::LedgerService::Stub::CheckLedger, v1::CheckLedgerRequest()).error().code,
            Code::kPermissionDenied);
  ASSERT_TRUE(CreateBook(Caller::Operator()));
  ASSERT_TRUE(SetAccount(Caller::Operator()));
  EXPECT_TRUE(As(ke, *accounts_stub_, &v1::BillingAccountService::Stub::GetBillingAccount, account));
}

TEST_F(BillingRpc, RefusesPricesThatCannotBeBilledExactly) {
  for (const char* price : {"0.0000001", "0.1234567890123", "-1", "1e3", "", "1,5", "50 "}) {
    const auto book = CreateBook(Caller::Operator(), price);
    ASSERT_FALSE(book) << price;
    EXPECT_EQ(book.error().code, Code::kInvalidArgument) << price;
    EXPECT_NE(book.error().message.find("prices[0].prompt_price_per_million"), std::string::npos)
        << book.error().message;
  }
  EXPECT_TRUE(CreateBook(Caller::Operator(), "0.000001"));
}

TEST_F(BillingRpc, TakesTheSamePriceInAnotherSpellingForTheSame) {
  ASSERT_TRUE(CreateBook(Caller::Operator(), "50"));
  EXPECT_TRUE(CreateBook(Caller::Operator(), "50.000"));
  EXPECT_EQ(CreateBook(Caller::Operator(), "50.01").error().code, Code::kAlreadyExists);
}

TEST_F(BillingRpc, OpensAccountsOnlyInTheTenantsCurrency) {
  EXPECT_EQ(SetAccount(Caller::Operator(), "1", "TZS").error().reason, "CURRENCY_MISMATCH");
  EXPECT_EQ(SetAccount(Caller::Operator(), "1", "KES", "xx").error().code, Code::kNotFound);
  EXPECT_EQ(SetAccount(Caller::Operator(), "-1").error().reason, "CREDIT_LIMIT_OUT_OF_RANGE");
  EXPECT_EQ(SetAccount(Caller::Operator(), "0.1234567890123").error().reason, "INVALID_AMOUNT");
  v1::SetBillingAccountRequest judged;
  judged.mutable_billing_account()->set_name("tenants/ke/billingAccount");
  judged.mutable_billing_account()->set_credit_limit("1");
  judged.set_request_id("x");
  judged.set_validate_only(true);
  EXPECT_EQ(As(Caller::Operator(), *accounts_stub_, &v1::BillingAccountService::Stub::SetBillingAccount, judged)
                .error()
                .reason,
            "INVALID_REQUEST_ID");
  directory_.down = true;
  EXPECT_EQ(SetAccount(Caller::Operator()).error().code, Code::kUnavailable);
  directory_.down = false;
  const auto account = SetAccount(Caller::Operator(), "1000.50", "");
  ASSERT_TRUE(account) << account.error().message;
  EXPECT_EQ(account->credit_limit(), "1000.5");
  EXPECT_EQ(account->currency_code(), "KES");
  EXPECT_EQ(account->posted().amount(), "0");
}

TEST_F(BillingRpc, RefusesMalformedReservations) {
  ASSERT_TRUE(CreateBook(Caller::Operator()));
  ASSERT_TRUE(SetAccount(Caller::Operator()));
  const auto reason = [&](auto change) {
    v1::ReserveRequest request = ReserveRequest();
    change(request);
    const auto held = Reserve(request);
    return held ? std::string("held") : held.error().reason;
  };
  EXPECT_EQ(reason([](auto&) {}), "held");
  EXPECT_EQ(reason([](auto& r) { r.clear_api_key(); }), "held");
  EXPECT_EQ(reason([](auto& r) { r.set_request_id("x"); }), "INVALID_UUID");
  EXPECT_EQ(reason([](auto& r) { r.set_request_id(Uuid::FromName("x").ToString()); }), "INVALID_REQUEST_ID");
  EXPECT_EQ(reason([](auto& r) { r.set_instance("tenants/tz/projects/desk/instances/helper"); }), "OTHER_TENANT");
  EXPECT_EQ(reason([](auto& r) { r.set_api_key("tenants/tz/projects/desk/apiKeys/a1"); }), "OTHER_TENANT");
  EXPECT_EQ(reason([](auto& r) { r.set_api_key("tenants/tz/projects/desk/workloadRules/ci"); }), "OTHER_TENANT");
  EXPECT_EQ(reason([](auto& r) { r.set_api_key("tenants/ke/projects/desk/somethingElse/ci"); }), "INVALID_NAME");
  EXPECT_EQ(reason([](auto& r) { r.set_api_key("tenants/ke/projects/desk/workloadRules/ci"); }), "held");
  EXPECT_EQ(reason([](auto& r) { r.set_instance("tenants/ke/projects/desk"); }), "INVALID_NAME");
  EXPECT_EQ(reason([](auto& r) { r.set_variant("q4_k_m"); }), "INVALID_NAME");
  EXPECT_EQ(reason([](auto& r) { r.set_price_book("priceBooks/one"); }), "INVALID_NAME");
  EXPECT_EQ(reason([](auto& r) { r.set_tenant("tenants/ke/projects/p"); }), "INVALID_NAME");
  EXPECT_EQ(reason([](auto& r) { r.clear_expire_time(); }), "INVALID_EXPIRE_TIME");
  EXPECT_EQ(reason([](auto& r) { r.mutable_expire_time()->set_seconds(-1); }), "INVALID_TIME");
  EXPECT_EQ(reason([](auto& r) { r.set_completion_tokens_max(-5); }), "INVALID_TOKEN_COUNT");
  EXPECT_EQ(reason([](auto& r) { r.set_completion_tokens_max(1'000'000'000); }), "INSUFFICIENT_FUNDS");
  EXPECT_EQ(Settle(ReserveRequest().request_id(), 1, 1, v1::OUTCOME_EXPIRED).error().reason, "INVALID_OUTCOME");
  EXPECT_EQ(Settle(ReserveRequest().request_id(), 1, 1, v1::OUTCOME_UNSPECIFIED).error().reason, "INVALID_OUTCOME");
}

TEST_F(BillingRpc, PagesThroughUsage) {
  ASSERT_TRUE(CreateBook(Caller::Operator()));
  ASSERT_TRUE(SetAccount(Caller::Operator()));
  for (int i = 0; i < 5; ++i) {
    const v1::ReserveRequest request = ReserveRequest();
    ASSERT_TRUE(Reserve(request));
    ASSERT_TRUE(Settle(request.request_id(), 1, i));
  }
  v1::ListUsageRecordsRequest request;
  request.set_parent("tenants/ke");
  request.set_page_size(2);
  std::set<std::string> seen;
  std::string last = "~";
  int pages = 0;
  do {
    const auto page = As(Caller::Tenant("ke"), *usage_stub_, &v1::UsageService::Stub::ListUsageRecords, request);
    ASSERT_TRUE(page) << page.error().message;
    for (const auto& record : page->usage_records()) {
      EXPECT_LT(record.name(), last) << "newest first";
      last = record.name();
      seen.insert(last);
    }
    request.set_page_token(page->next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_EQ(seen.size(), 5U);
  EXPECT_EQ(pages, 3);
  request.set_page_token("made-up");
  EXPECT_EQ(As(Caller::Tenant("ke"), *usage_stub_, &v1::UsageService::Stub::ListUsageRecords, request).error().reason,
            "INVALID_PAGE_TOKEN");
}

TEST_F(BillingRpc, AKeysPagesAndTheirTokensTellOfItsOwnProjectOnly) {
  ASSERT_TRUE(CreateBook(Caller::Operator()));
  ASSERT_TRUE(SetAccount(Caller::Operator()));
  std::set<std::string> own;
  for (int i = 0; i < 6; ++i) {
    v1::ReserveRequest request = ReserveRequest();
    const bool is_own = i % 3 == 1;
    if (is_own) own.insert("tenants/ke/usageRecords/" + request.request_id());
    if (!is_own) request.set_instance("tenants/ke/projects/other/instances/helper");
    ASSERT_TRUE(Reserve(request));
    ASSERT_TRUE(Settle(request.request_id(), 1, i));
  }
  v1::ListUsageRecordsRequest request;
  request.set_parent("tenants/ke");
  request.set_page_size(1);
  const auto list = [&](const std::string& project) {
    return As(Caller::Key("ke", project, {"portal"}), *usage_stub_, &v1::UsageService::Stub::ListUsageRecords, request)
        .value();
  };
  EXPECT_EQ(list("none").usage_records_size(), 0);
  EXPECT_EQ(list("none").next_page_token(), "") << "there is nothing for it, on no page";
  const auto first = list("desk");
  const auto of_others = list("other");
  request.set_page_token(first.next_page_token());
  const auto last = list("desk");
  ASSERT_EQ(first.usage_records_size() + last.usage_records_size(), 2) << "no page is empty";
  EXPECT_EQ((std::set{first.usage_records(0).name(), last.usage_records(0).name()}), own);
  EXPECT_EQ(last.next_page_token(), "");
  request.set_page_token(of_others.next_page_token());
  EXPECT_EQ(As(Caller::Key("ke", "desk", {"portal"}), *usage_stub_, &v1::UsageService::Stub::ListUsageRecords, request)
                .error()
                .reason,
            "INVALID_PAGE_TOKEN");
  v1::GetInvoiceRequest invoice;
  invoice.set_name("tenants/ke/invoices/current");
  const auto lines =
      As(Caller::Key("ke", "desk", {"portal"}), *invoices_stub_, &v1::InvoiceService::Stub::GetInvoice, invoice);
  ASSERT_EQ(lines->lines_size(), 1);
  EXPECT_EQ(lines->lines(0).request_count(), 2);
}

TEST_F(ComputedUsageRpc, AKeysPagesAndTheirTokensTellOfItsOwnProjectOnly) {
  ASSERT_TRUE(SetAccount(Caller::Operator()));
  v1::RecordComputedUsageRequest record;
  for (const char* id : {"a", "b", "c"}) {
    *record.add_events() = Event(id);
    if (*id != 'b') record.mutable_events()->rbegin()->set_instance("tenants/ke/projects/other/instances/i");
  }
  ASSERT_TRUE(Record(record));
  v1::ListComputedUsageRequest request;
  request.set_parent("tenants/ke");
  request.set_page_size(1);
  const auto listed = As(Caller::Key("ke", "p", {"portal"}), *computed_stub_,
                         &v1::ComputedUsageService::Stub::ListComputedUsage, request);
  ASSERT_TRUE(listed) << listed.error().message;
  ASSERT_EQ(listed->computed_usage_size(), 1);
  EXPECT_EQ(listed->computed_usage(0).event_id(), "b");
  EXPECT_EQ(listed->next_page_token(), "");
}

TEST_F(ComputedUsageRpc, RefusesBadEventsOneByOneAndRecordsTheOthers) {
  ASSERT_TRUE(SetAccount(Caller::Operator()));
  v1::RecordComputedUsageRequest request;
  *request.add_events() = Event("ring/1");
  *request.add_events() = Event("ring/2");
  request.mutable_events(1)->set_tenant_uid(TenantId::FromName("tenants/zz")->ToString());
  request.mutable_events(1)->set_instance("tenants/zz/projects/p/instances/i");
  *request.add_events() = Event("no id");
  *request.add_events() = Event("ring/4");
  request.mutable_events(3)->set_node("nodes/other");
  *request.add_events() = Event("ring/5");
  request.mutable_events(4)->set_instance("tenants/tz/projects/p/instances/i");
  *request.add_events() = Event("ring/6");
  request.mutable_events(5)->clear_end_time();
  const auto done = Record(request);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->recorded_count(), 1);
  std::map<std::string, std::string> refusals;
  for (const auto& refusal : done->refusals()) refusals[refusal.event_id()] = refusal.reason();
  EXPECT_EQ(refusals, (std::map<std::string, std::string>{{"ring/2", "NO_BILLING_ACCOUNT"},
                                                          {"#2", "INVALID_EVENT"},
                                                          {"ring/4", "INVALID_EVENT"},
                                                          {"ring/5", "INVALID_EVENT"},
                                                          {"ring/6", "INVALID_EVENT"}}));
  v1::RecordComputedUsageRequest again;
  *again.add_events() = request.events(0);
  EXPECT_EQ(Record(again)->recorded_count(), 0);
  EXPECT_EQ(Record(again)->refusals_size(), 0);
  again.mutable_events(0)->set_sampled_tokens(6);
  EXPECT_EQ(Record(again)->refusals(0).reason(), "EVENT_ID_REUSED");
}

TEST_F(ComputedUsageRpc, IsForNodesAndBounded) {
  v1::RecordComputedUsageRequest request;
  EXPECT_EQ(Record(request).error().reason, "BATCH_TOO_LARGE");
  for (int i = 0; i < 501; ++i) request.add_events();
  EXPECT_EQ(Record(request).error().reason, "BATCH_TOO_LARGE");
  EXPECT_EQ(Record(request, Caller::Tenant("ke")).error().code, Code::kPermissionDenied);
  EXPECT_EQ(Record(request, Caller::Service("gateway")).error().code, Code::kPermissionDenied);
}

TEST_F(ComputedUsageRpc, ListsPageByPageToItsTenantOnly) {
  ASSERT_TRUE(SetAccount(Caller::Operator()));
  v1::RecordComputedUsageRequest request;
  for (int i = 0; i < 5; ++i) *request.add_events() = Event("ring/" + std::to_string(i));
  ASSERT_EQ(Record(request)->recorded_count(), 5);
  v1::ListComputedUsageRequest list;
  list.set_parent("tenants/ke");
  list.set_page_size(2);
  const auto page_as = [&](const Caller& caller) {
    return As(caller, *computed_stub_, &v1::ComputedUsageService::Stub::ListComputedUsage, list);
  };
  int seen = 0;
  do {
    const auto page = page_as(Caller::Tenant("ke"));
    ASSERT_TRUE(page) << page.error().message;
    seen += page->computed_usage_size();
    list.set_page_token(page->next_page_token());
  } while (!list.page_token().empty());
  EXPECT_EQ(seen, 5);
  EXPECT_EQ(page_as(Caller::Tenant("tz")).error().code, Code::kNotFound);
  list.set_page_token("made-up");
  EXPECT_EQ(page_as(Caller::Operator()).error().reason, "INVALID_PAGE_TOKEN");
}

TEST_F(ComputedUsageRpc, ChecksWhatWasBilledAgainstWhatWasComputed) {
  ASSERT_TRUE(CreateBook(Caller::Service("catalog")));
  ASSERT_TRUE(SetAccount(Caller::Operator()));
  v1::ReserveRequest reserve = ReserveRequest();
  reserve.set_isolation_class("dedicated");
  ASSERT_TRUE(Reserve(reserve));
  const auto record = Settle(reserve.request_id(), 1, 7);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->isolation_class(), "dedicated");
  v1::RecordComputedUsageRequest request;
  *request.add_events() = Event("ring/1", reserve.request_id());
  ASSERT_EQ(Record(request)->recorded_count(), 1);
  v1::CheckUsageRequest check;
  const auto check_as = [&](const Caller& caller) {
    return As(caller, *computed_stub_, &v1::ComputedUsageService::Stub::CheckUsage, check);
  };
  EXPECT_EQ(check_as(Caller::Operator()).error().reason, "INVALID_TIME_RANGE");
  check.mutable_start_time()->set_seconds(Seconds() - 3600);
  check.mutable_end_time()->set_seconds(Seconds() + 3600);
  EXPECT_EQ(check_as(Caller::Operator())->unreported_count(), 1) << "another attempt may still be told of";
  clock_.Advance(2min);
  const auto found = check_as(Caller::Operator());
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->overbilled_count(), 1) << "7 delivered, 5 sampled";
  ASSERT_EQ(found->findings_size(), 1);
  EXPECT_EQ(found->findings(0).usage_record(), record->name());
  EXPECT_EQ(check_as(Caller::Tenant("ke")).error().code, Code::kPermissionDenied);
  const auto ledger =
      As(Caller::Operator(), *ledger_stub_, &v1::LedgerService::Stub::CheckLedger, v1::CheckLedgerRequest());
  ASSERT_TRUE(ledger);
  EXPECT_EQ(ledger->computed_event_count(), 1);
  EXPECT_EQ(ledger->overbilled_usage_record_count(), 1);
}

TEST_F(ComputedUsageRpc, TheLedgerIsNotSoundWhileSomethingComputedIsNotRecorded) {
  ASSERT_TRUE(CreateBook(Caller::Service("catalog")));
  ASSERT_TRUE(SetAccount(Caller::Operator()));
  const v1::ReserveRequest reserve = ReserveRequest();
  ASSERT_TRUE(Reserve(reserve));
  v1::RecordComputedUsageRequest request;
  *request.add_events() = Event("ring/1", reserve.request_id());
  ASSERT_EQ(Record(request)->recorded_count(), 1);
  const auto ledger = [&] {
    return As(Caller::Operator(), *ledger_stub_, &v1::LedgerService::Stub::CheckLedger, v1::CheckLedgerRequest())
        .value();
  };
  EXPECT_EQ(ledger().unrecorded_request_count(), 0) << "it may still be running";
  clock_.Advance(20min);
  EXPECT_EQ(ledger().unrecorded_request_count(), 1) << "its hold is open, but it ended long ago";
  EXPECT_EQ(ledger().overdue_reservation_count(), 1);
  ASSERT_EQ(store_.ExpireReservations(TenantId::FromName("tenants/ke").value(), clock_.Now(), 10).value(), 1);
  EXPECT_EQ(ledger().unrecorded_request_count(), 1) << "its hold is gone, and nothing was recorded";
  EXPECT_EQ(ledger().overdue_reservation_count(), 0);
  const auto record = Settle(reserve.request_id(), 1, 500);  // 200 were held
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(record->completion_tokens(), 500);
  EXPECT_EQ(record->excess_completion_tokens(), 300);
  EXPECT_EQ(ledger().unrecorded_request_count(), 0);
  EXPECT_EQ(ledger().excess_usage_record_count(), 1);
}

TEST_F(BillingRpc, AReportBeyondATenantsShareIsRefusedWithATimeToComeBack) {
  ASSERT_TRUE(SetAccount(Caller::Operator()));
  std::vector<CallGate::Pass> running;
  for (int i = 0; i < 2; ++i) running.push_back(gates_.reports.Enter(Caller::Tenant("ke").ToString()).value());
  const auto refused = Invoice("tenants/ke/invoices/current");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_EQ(refused.error().reason, "TOO_MANY_CALLS");
  EXPECT_TRUE(refused.error().retry_after.has_value());
  EXPECT_FALSE(Invoice("tenants/ke/invoices/current", Caller::Key("ke", "p", {"portal"})))
      << "the keys of a tenant share what it has";
  for (const char* id : {"rw", "tz", "ug"}) {
    for (int i = 0; i < 2; ++i) running.push_back(gates_.reports.Enter(Caller::Tenant(id)).value());
  }
  EXPECT_TRUE(Invoice("tenants/ke/invoices/current", Caller::Operator())) << "has places of its own";
  running.clear();
  EXPECT_TRUE(Invoice("tenants/ke/invoices/current"));
}

TEST_F(ComputedUsageRpc, RefusesAClassThatIsNone) {
  ASSERT_TRUE(CreateBook(Caller::Service("catalog")));
  ASSERT_TRUE(SetAccount(Caller::Operator()));
  v1::ReserveRequest reserve = ReserveRequest();
  reserve.set_isolation_class("shared");
  EXPECT_EQ(Reserve(reserve).error().reason, "INVALID_ISOLATION_CLASS");
}

}  // namespace
}  // namespace allod::billing::service_test
