// Invoices over RPC: who may do what, what is refused, what a key and another tenant see, and files in slices.
#include <gmock/gmock.h>

#include "services/billing/legal_entity_service.h"
#include "services/billing/testing/service_fixture.h"
#include "services/common/digest.h"

namespace allod::billing::service_invoice_test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class InvoiceRpc : public BillingRpc {
 protected:
  InvoiceRpc() : entities_(store_, clock_, gates_) {
    entity_server_ = Server::Start({.listen = entity_address_}, {&entities_}).value();
    entities_stub_ = v1::LegalEntityService::NewStub(MakeChannel(entity_address_));
  }
  void SetUp() override {
    clock_.Set(std::chrono::sys_days(std::chrono::year(2026) / 10 / 20));
    ASSERT_TRUE(CreateBook(Caller::Service("catalog")));
    ASSERT_TRUE(SetAccount(Caller::Operator(), "1000000"));
    ASSERT_TRUE(SetEntity());
  }

  Result<v1::LegalEntity> SetEntity(const Caller& caller = Caller::Operator(), const std::string& prefix = "KE-",
                                    bool validate_only = false) {
    v1::SetLegalEntityRequest request;
    auto& entity = *request.mutable_legal_entity();
    entity.set_name("legalEntities/allod-ke");
    entity.mutable_party()->set_display_name("Allod Kenya Ltd");
    entity.mutable_party()->set_country_code("ke");
    entity.mutable_party()->set_tax_id("P051234567X");
    entity.set_invoice_prefix(prefix);
    entity.set_credit_note_prefix("KE-CN-");
    request.set_validate_only(validate_only);
    return As(caller, *entities_stub_, &v1::LegalEntityService::Stub::SetLegalEntity, request);
  }
  v1::SetBillingProfileRequest ProfileRequest() {
    v1::SetBillingProfileRequest request;
    auto& profile = *request.mutable_billing_profile();
    profile.set_name("tenants/ke/billingProfile");
    profile.set_legal_entity("legalEntities/allod-ke");
    profile.mutable_party()->set_display_name("Republic of Kenya");
    profile.mutable_party()->set_country_code("ke");
    profile.set_tax_category(v1::TAX_CATEGORY_STANDARD);
    profile.set_tax_basis_points(1600);
    return request;
  }
  Result<v1::BillingProfile> SetProfile(const v1::SetBillingProfileRequest& request,
                                        const Caller& caller = Caller::Operator()) {
    return As(caller, *accounts_stub_, &v1::BillingAccountService::Stub::SetBillingProfile, request);
  }
  void Use(int prompt, int completion, const std::string& project = "desk") {
    v1::ReserveRequest request = ReserveRequest();
    request.set_instance("tenants/ke/projects/" + project + "/instances/helper");
    request.set_api_key("tenants/ke/projects/" + project + "/apiKeys/a1");
    request.set_prompt_tokens_max(1'000'000);
    request.set_completion_tokens_max(1'000'000);
    const auto held = Reserve(request);
    ASSERT_TRUE(held) << held.error().message;
    ASSERT_TRUE(Settle(request.request_id(), prompt, completion));
  }
  Result<v1::Invoice> Finalise(const Caller& caller = Caller::Operator(),
                               const std::string& name = "tenants/ke/invoices/2026-10") {
    v1::FinaliseInvoiceRequest request;
    request.set_name(name);
    return As(caller, *invoices_stub_, &v1::InvoiceService::Stub::FinaliseInvoice, request);
  }
  void Issue() {
    ASSERT_TRUE(SetProfile(ProfileRequest()));
    Use(200'000, 300'000);
    Use(400'000, 0, "lab");
    clock_.Set(std::chrono::sys_days(std::chrono::year(2026) / 11 / 3));
    const auto invoice = Finalise();
    ASSERT_TRUE(invoice) << invoice.error().message;
  }
  Result<v1::ListInvoicesResponse> List(const Caller& caller, const std::string& parent = "tenants/ke", int size = 0,
                                        const std::string& token = "") {
    v1::ListInvoicesRequest request;
    request.set_parent(parent);
    request.set_page_size(size);
    request.set_page_token(token);
    return As(caller, *invoices_stub_, &v1::InvoiceService::Stub::ListInvoices, request);
  }
  Result<v1::InvoiceDocument> Document(const Caller& caller, v1::DocumentFormat format = v1::DOCUMENT_FORMAT_HTML,
                                       const std::string& invoice = "2026-10", std::int64_t offset = 0) {
    v1::GetInvoiceDocumentRequest request;
    request.set_name("tenants/ke/invoices/" + invoice);
    request.set_format(format);
    request.set_offset(offset);
    return As(caller, *invoices_stub_, &v1::InvoiceService::Stub::GetInvoiceDocument, request);
  }
  Result<v1::Invoice> Credit(v1::CreateCreditNoteRequest request, const Caller& caller = Caller::Operator()) {
    request.set_invoice("tenants/ke/invoices/2026-10");
    return As(caller, *invoices_stub_, &v1::InvoiceService::Stub::CreateCreditNote, request);
  }
  Result<v1::ListUsageRecordsResponse> UsageOf(const std::string& line, const Caller& caller) {
    v1::ListUsageRecordsRequest request;
    request.set_parent("tenants/ke");
    request.set_invoice_line(line);
    return As(caller, *usage_stub_, &v1::UsageService::Stub::ListUsageRecords, request);
  }

  const Caller key_ = Caller::Key("ke", "desk", {"portal"});
  LegalEntityServiceImpl entities_;
  const std::string entity_address_ = "unix:" + (sockets_ / "e.sock").string();
  std::unique_ptr<Server> entity_server_;
  std::unique_ptr<v1::LegalEntityService::Stub> entities_stub_;
};

template <typename T>
std::string Reason(const Result<T>& result) {
  return result ? "" : result.error().reason;
}

TEST_F(InvoiceRpc, OnlyTheOperatorSaysWhoInvoicesWhomAndIssues) {
  for (const Caller& caller : {Caller::Tenant("ke"), key_, Caller::Service("gateway"), Caller::Node("n")}) {
    EXPECT_EQ(SetEntity(caller).error().code, Code::kPermissionDenied);
    EXPECT_EQ(SetProfile(ProfileRequest(), caller).error().code, Code::kPermissionDenied);
    EXPECT_EQ(Finalise(caller).error().code, Code::kPermissionDenied);
    EXPECT_EQ(Credit({}, caller).error().code, Code::kPermissionDenied);
  }
}

TEST_F(InvoiceRpc, ProfilesAreCheckedAndShownToTheTenant) {
  EXPECT_EQ(Reason(SetEntity(Caller::Operator(), "XX-", true)), "NUMBER_PREFIX_IMMUTABLE");
  EXPECT_EQ(Reason(SetEntity(Caller::Operator(), "ke")), "INVALID_NUMBER_PREFIX");
  v1::SetBillingProfileRequest request = ProfileRequest();
  request.set_validate_only(true);
  ASSERT_TRUE(SetProfile(request));
  v1::GetBillingProfileRequest get;
  get.set_name("tenants/ke/billingProfile");
  const auto profile = [&](const Caller& caller) {
    return As(caller, *accounts_stub_, &v1::BillingAccountService::Stub::GetBillingProfile, get);
  };
  EXPECT_EQ(profile(Caller::Tenant("ke")).error().code, Code::kNotFound) << "only judged";
  request.mutable_billing_profile()->set_legal_entity("legalEntities/nobody");
  EXPECT_EQ(Reason(SetProfile(request)), "NO_LEGAL_ENTITY");
  request = ProfileRequest();
  request.mutable_billing_profile()->set_tax_basis_points(0);
  EXPECT_EQ(Reason(SetProfile(request)), "INVALID_TAX");
  request.mutable_billing_profile()->set_tax_category(v1::TAX_CATEGORY_REVERSE_CHARGE);
  request.mutable_billing_profile()->set_tax_note("Reverse charge");
  EXPECT_EQ(Reason(SetProfile(request)), "TAX_ID_MISSING");
  request.mutable_billing_profile()->mutable_party()->set_country_code("atlantis");
  EXPECT_EQ(Reason(SetProfile(request)), "UNKNOWN_COUNTRY");
  ASSERT_TRUE(SetProfile(ProfileRequest()));
  EXPECT_EQ(profile(Caller::Tenant("ke"))->party().display_name(), "Republic of Kenya");
  EXPECT_EQ(Reason(profile(key_)), "PROJECT_KEY");
  EXPECT_EQ(profile(Caller::Tenant("tz")).error().code, Code::kNotFound);
}

TEST_F(InvoiceRpc, WhoIsPaidDoesNotChangeWithoutATrace) {
  v1::SetLegalEntityRequest request;
  auto& entity = *request.mutable_legal_entity();
  entity.set_name("legalEntities/allod-ke");
  entity.mutable_party()->set_display_name("Allod Kenya Ltd");
  entity.mutable_party()->set_country_code("ke");
  entity.mutable_party()->set_tax_id("P051234567X");
  entity.set_invoice_prefix("KE-");
  entity.set_credit_note_prefix("KE-CN-");
  entity.set_payment_terms("IBAN KE00 1234");
  const auto logged = [&] {
    testing::internal::CaptureStderr();
    EXPECT_TRUE(As(Caller::Operator(), *entities_stub_, &v1::LegalEntityService::Stub::SetLegalEntity, request));
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_THAT(logged(), testing::AllOf(HasSubstr("a legal entity was changed"), HasSubstr("legal_entity=allod-ke"),
                                       HasSubstr("payment_terms:  -> IBAN KE00 1234")));
  EXPECT_THAT(logged(), testing::Not(HasSubstr("a legal entity"))) << "nothing changed";
}

TEST_F(InvoiceRpc, ADraftBecomesTheInvoiceOfItsMonth) {
  ASSERT_TRUE(SetProfile(ProfileRequest()));
  Use(200'000, 300'000);
  EXPECT_EQ(Reason(Finalise()), "PERIOD_OPEN");
  EXPECT_EQ(Invoice("tenants/ke/invoices/2026-10")->state(), v1::Invoice::STATE_DRAFT);
  EXPECT_EQ(Reason(Document(Caller::Tenant("ke"))), "INVOICE_NOT_ISSUED");
  clock_.Set(std::chrono::sys_days(std::chrono::year(2026) / 11 / 3));
  const auto invoice = Finalise();
  ASSERT_TRUE(invoice) << invoice.error().message;
  EXPECT_EQ(invoice->state(), v1::Invoice::STATE_ISSUED);
  EXPECT_EQ(invoice->number(), "KE-000001");
  ASSERT_EQ(invoice->lines_size(), 2);
  EXPECT_EQ(invoice->lines(0).prompt_tokens(), 200'000);
  EXPECT_EQ(invoice->lines(0).completion_tokens(), 0);
  EXPECT_EQ(invoice->lines(0).amount().amount(), "10");
  EXPECT_EQ(invoice->lines(1).meter(), v1::Invoice::METER_COMPLETION_TOKENS);
  EXPECT_EQ(invoice->lines(1).usage_period(), "2026-10");
  EXPECT_EQ(invoice->total().amount(), "55.15");
  EXPECT_EQ(invoice->tax_total().amount(), "8.82");
  EXPECT_EQ(invoice->payable().amount(), "63.97");
  EXPECT_EQ(invoice->taxes(0).basis_points(), 1600);
  EXPECT_EQ(invoice->buyer().display_name(), "Republic of Kenya");
  EXPECT_EQ(Finalise()->SerializeAsString(), invoice->SerializeAsString());
  EXPECT_EQ(Invoice("tenants/ke/invoices/2026-10")->SerializeAsString(), invoice->SerializeAsString());
  EXPECT_EQ(Reason(Finalise(Caller::Operator(), "tenants/ke/invoices/2026-10-c1")), "INVALID_PERIOD");
}

TEST_F(InvoiceRpc, AKeySeesItsProjectsLinesAndNothingOfTheWhole) {
  Issue();
  const auto whole = Invoice("tenants/ke/invoices/2026-10");
  EXPECT_EQ(whole->lines_size(), 3);
  const auto own = Invoice("tenants/ke/invoices/2026-10", key_);
  ASSERT_TRUE(own) << own.error().message;
  EXPECT_EQ(own->lines_size(), 2);
  EXPECT_EQ(own->total().amount(), "55.15");
  EXPECT_FALSE(own->has_payable());
  EXPECT_FALSE(own->has_buyer());
  EXPECT_EQ(own->ShortDebugString().find("lab"), std::string::npos);
  EXPECT_EQ(Reason(List(key_)), "PROJECT_KEY");
  EXPECT_EQ(Reason(Document(key_)), "PROJECT_KEY");
}

TEST_F(InvoiceRpc, ChargesStandInDraftsAndInvoicesAndHaveNoRequests) {
  ASSERT_TRUE(SetProfile(ProfileRequest()));
  Use(200'000, 300'000);
  const TenantId ke = TenantId::FromName("tenants/ke").value();
  const Time month = ParsePeriod("2026-10", clock_.Now())->start;
  store_.AddOpenCharge(
      ke, InstanceTime(month, "tenants/ke/projects/desk/instances/helper", "models/m/versions/v/variants/q", "pooled",
                       Uuid::FromName("b"), 1'800, Amount::FromPico(3'010'000'000'000))
              .value());
  store_.AddOpenCharge(ke, {.terms = {.kind = ChargeKind::kDiscount, .detail = "1%", .term = "discount"},
                            .month = month,
                            .unit_price = Amount::FromPico(-1'000'000'000'000),
                            .exact = Amount::FromPico(-1'000'000'000'000)});
  const auto draft = Invoice("tenants/ke/invoices/2026-10");
  ASSERT_TRUE(draft) << draft.error().message;
  ASSERT_EQ(draft->lines_size(), 3);
  EXPECT_EQ(draft->lines(1).charge().kind(), v1::Invoice::Charge::KIND_INSTANCE_TIME);
  EXPECT_EQ(draft->lines(1).charge().quantity(), 1'800);
  EXPECT_EQ(draft->lines(1).amount().amount(), "1.505");
  EXPECT_EQ(Invoice("tenants/ke/invoices/2026-10", key_)->lines_size(), 2) << "not what is the tenant's as a whole";
  clock_.Set(std::chrono::sys_days(std::chrono::year(2026) / 11 / 3));
  const auto issued = Finalise();
  ASSERT_TRUE(issued) << issued.error().message;
  ASSERT_EQ(issued->lines_size(), 4);
  EXPECT_EQ(issued->lines(3).amount().amount(), "-1");
  EXPECT_EQ(issued->lines(3).charge().detail(), "1%");
  EXPECT_EQ(UsageOf("tenants/ke/invoices/2026-10/lines/3", Caller::Tenant("ke")).error().reason, "NO_REQUESTS");
}

TEST_F(InvoiceRpc, AnotherTenantFindsNothing) {
  Issue();
  const Caller tz = Caller::Tenant("tz");
  EXPECT_EQ(Invoice("tenants/ke/invoices/2026-10", tz).error().code, Code::kNotFound);
  EXPECT_EQ(List(tz).error().code, Code::kNotFound);
  EXPECT_EQ(Document(tz).error().code, Code::kNotFound);
  EXPECT_EQ(UsageOf("tenants/ke/invoices/2026-10/lines/1", tz).error().code, Code::kNotFound);
  EXPECT_EQ(List(tz, "tenants/tz")->invoices_size(), 0);
}

TEST_F(InvoiceRpc, ALineDrillsDownToItsRequests) {
  Issue();
  const auto invoice = Invoice("tenants/ke/invoices/2026-10");
  for (const auto& line : invoice->lines()) {
    const auto page =
        UsageOf("tenants/ke/invoices/2026-10/lines/" + std::to_string(line.number()), Caller::Tenant("ke"));
    ASSERT_TRUE(page) << page.error().message;
    std::int64_t prompt = 0, completion = 0;
    for (const auto& record : page->usage_records()) {
      prompt += record.prompt_tokens();
      completion += record.completion_tokens();
    }
    const bool is_prompt = line.meter() == v1::Invoice::METER_PROMPT_TOKENS;
    EXPECT_EQ(is_prompt ? prompt : completion, is_prompt ? line.prompt_tokens() : line.completion_tokens());
    EXPECT_EQ(page->usage_records_size(), line.request_count());
  }
  EXPECT_TRUE(UsageOf("tenants/ke/invoices/2026-10/lines/1", key_));
  EXPECT_EQ(UsageOf("tenants/ke/invoices/2026-10/lines/3", key_).error().code, Code::kNotFound) << "of project lab";
  EXPECT_EQ(UsageOf("tenants/ke/invoices/2026-10/lines/9", key_).error().code, Code::kNotFound);
  EXPECT_EQ(Reason(UsageOf("tenants/tz/invoices/2026-10/lines/1", Caller::Tenant("ke"))), "OTHER_TENANT");
  EXPECT_EQ(Reason(UsageOf("tenants/ke/invoices/2026-10/lines/x", Caller::Tenant("ke"))), "INVALID_NAME");
}

TEST_F(InvoiceRpc, CreditsAreListedBesideTheirInvoice) {
  Issue();
  v1::CreateCreditNoteRequest request;
  request.set_reason("A price was wrong");
  EXPECT_EQ(Reason(Credit(request)), "REQUEST_ID_REQUIRED");
  request.set_request_id(Uuid::V7().ToString());
  auto& line = *request.add_lines();
  line.set_number(1);
  line.set_amount("1.50");
  const auto note = Credit(request);
  ASSERT_TRUE(note) << note.error().message;
  EXPECT_EQ(note->name(), "tenants/ke/invoices/2026-10-c1");
  EXPECT_EQ(note->kind(), v1::Invoice::KIND_CREDIT_NOTE);
  EXPECT_EQ(note->corrected_invoice(), "tenants/ke/invoices/2026-10");
  EXPECT_EQ(note->total().amount(), "1.5");
  EXPECT_EQ(Credit(request)->SerializeAsString(), note->SerializeAsString());
  request.set_reason("Another reason");
  EXPECT_EQ(Reason(Credit(request)), "REQUEST_ID_REUSED");
  request.clear_reason();
  EXPECT_EQ(Reason(Credit(request)), "INVALID_TEXT");

  const auto first = List(Caller::Tenant("ke"), "tenants/ke", 1);
  ASSERT_EQ(first->invoices_size(), 1);
  EXPECT_EQ(first->invoices(0).number(), "KE-CN-000001");
  EXPECT_EQ(first->invoices(0).lines_size(), 0);
  const auto second = List(Caller::Tenant("ke"), "tenants/ke", 1, first->next_page_token());
  ASSERT_EQ(second->invoices_size(), 1);
  EXPECT_EQ(second->invoices(0).number(), "KE-000001");
  EXPECT_EQ(second->next_page_token(), "");
  EXPECT_THAT(Document(Caller::Tenant("ke"), v1::DOCUMENT_FORMAT_UBL, "2026-10-c1")->content(),
              HasSubstr("<CreditNote "));
}

TEST_F(InvoiceRpc, FilesAreTheSameEachTimeAndComeInSlices) {
  Issue();
  for (const auto format :
       {v1::DOCUMENT_FORMAT_CSV, v1::DOCUMENT_FORMAT_FOCUS, v1::DOCUMENT_FORMAT_UBL, v1::DOCUMENT_FORMAT_HTML}) {
    const auto file = Document(Caller::Tenant("ke"), format);
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->size_bytes(), static_cast<std::int64_t>(file->content().size()));
    EXPECT_EQ(file->sha256(), Sha256Hex(file->content()));
    clock_.Advance(24h);
    EXPECT_EQ(Document(Caller::Operator(), format)->SerializeAsString(), file->SerializeAsString());
    const auto rest = Document(Caller::Tenant("ke"), format, "2026-10", 10);
    EXPECT_EQ(rest->content(), file->content().substr(10));
    EXPECT_EQ(rest->sha256(), file->sha256());
    EXPECT_EQ(Document(Caller::Tenant("ke"), format, "2026-10", file->size_bytes())->content(), "");
  }
  EXPECT_EQ(Reason(Document(Caller::Tenant("ke"), v1::DOCUMENT_FORMAT_CSV, "2026-10", 1 << 30)), "INVALID_OFFSET");
  EXPECT_EQ(Reason(Document(Caller::Tenant("ke"), v1::DOCUMENT_FORMAT_UNSPECIFIED)), "INVALID_FORMAT");
  EXPECT_THAT(Document(Caller::Tenant("ke"))->content(), StartsWith("<!DOCTYPE html>"));
}

}  // namespace
}  // namespace allod::billing::service_invoice_test
