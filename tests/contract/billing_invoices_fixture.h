// A seller, a buyer and what it used, for the tests of invoices and credit notes.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "services/billing/documents/document.h"
#include "tests/contract/billing_store_harness.h"

namespace allod::billing::invoicing {

using namespace std::chrono_literals;

inline const Time kOctober = std::chrono::sys_days(std::chrono::year(2025) / 10 / 1);
inline const Time kAfterOctober = std::chrono::sys_days(std::chrono::year(2025) / 11 / 2) + 1h;
inline const Time kAfterNovember = std::chrono::sys_days(std::chrono::year(2025) / 12 / 2) + 1h;
inline const Uuid kDearBook = Uuid::FromName("priceBooks/dear");
// 50.5 and 150.5 KES a million tokens.
inline constexpr std::int64_t kDearPrompt = 50'500'000;
inline constexpr std::int64_t kDearCompletion = 150'500'000;

inline LegalEntity Operator(const std::string& id = "allod-ke") {
  return {.id = id,
          .party = {.name = "Allod Kenya Ltd",
                    .street = "Moi Avenue 1",
                    .city = "Nairobi",
                    .postal_code = "00100",
                    .country_code = "ke",
                    .tax_id = "KEP051234567X"},
          .invoice_prefix = "KE-",
          .credit_note_prefix = "KE-CN-",
          .payment_days = 30};
}

inline BillingProfile Profile(const std::string& tenant, const std::string& entity = "allod-ke") {
  return {.tenant = Tenant(tenant),
          .tenant_name = "tenants/" + tenant,
          .legal_entity = entity,
          .buyer = {.name = "Republic of " + tenant, .city = "Capital", .country_code = "ke"},
          .tax = {.category = TaxCategory::kStandard, .basis_points = 1600}};
}

inline FinaliseCommand Finalise(const std::string& tenant, const std::string& period = "2025-10") {
  return {Tenant(tenant), ParsePeriod(period, kNow).value(), kSettlementGraceDefault};
}

inline void OpenInvoicing(Store& store, const std::string& tenant) {
  ASSERT_TRUE(store.CreatePriceBook(CheckPriceBook({.id = kDearBook,
                                                    .listing = "listings/contract",
                                                    .prices = {{"KES", "", Pico(kDearPrompt), Pico(kDearCompletion)}}})
                                        .value(),
                                    kNow));
  SetAccountCommand account = Account(tenant, 0);
  account.credit_limit = kCreditLimitMax;
  ASSERT_TRUE(store.SetBillingAccount(account, kNow));
  ASSERT_TRUE(store.SetLegalEntity(Operator(), kNow));
  const auto profile = store.SetBillingProfile(Profile(tenant), kNow);
  ASSERT_TRUE(profile) << profile.error().message;
}

inline ReserveCommand Dear(const std::string& tenant, Time admitted, const std::string& instance = "i") {
  ReserveCommand request = Request(tenant, admitted, instance);
  request.price_book = kDearBook;
  request.prompt_tokens_max = request.completion_tokens_max = 1'000'000;
  return request;
}

inline void Use(Store& store, const std::string& tenant, Time admitted, std::int64_t prompt, std::int64_t completion,
                const std::string& instance = "i", Outcome outcome = Outcome::kCompleted) {
  const ReserveCommand request = Dear(tenant, admitted, instance);
  ASSERT_TRUE(store.Reserve(request, admitted));
  const auto settled = store.Settle(Settlement(request, prompt, completion, outcome), admitted + 1s);
  ASSERT_TRUE(settled) << settled.error().message;
}

inline CreditCommand Credit(const std::string& tenant, std::vector<CreditCommand::Line> lines,
                            const std::string& payload = "") {
  CreditCommand out{
      .tenant = Tenant(tenant), .period = ParsePeriod("2025-10", kNow).value(), .lines = std::move(lines)};
  out.reason = "A price was wrong";
  out.request = MakeRequestId(Uuid::V7().ToString(), "CreateCreditNote", payload).value();
  return out;
}

inline Amount Kes(const std::string& text) { return Amount::Parse("amount", text).value(); }

inline std::map<std::string, std::string> Balances(Store& store, const std::string& tenant) {
  std::map<std::string, std::string> out;
  const auto accounts = store.ListLedgerAccounts(Tenant(tenant), "", 100);
  for (const LedgerAccount& account : accounts.value()) {
    out[account.code] = account.balance.ToString();
  }
  return out;
}

inline std::string Everything(const IssuedInvoice& invoice) {
  std::string out;
  for (const auto format :
       {documents::Format::kCsv, documents::Format::kFocus, documents::Format::kUbl, documents::Format::kHtml}) {
    const auto made = documents::Render(invoice, format, "en");
    out += made ? made->content : made.error().message;
  }
  return out;
}

}  // namespace allod::billing::invoicing
