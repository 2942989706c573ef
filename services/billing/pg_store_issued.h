// Reads of issued documents and of what they are made with, for the transactions of pg_store_invoices.cc too.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "services/billing/invoice.h"
#include "services/common/audit/pg_log.h"
#include "services/common/pg/pool.h"
#include "services/common/pg/words.h"

namespace allod {

template <>
inline constexpr auto kRowWords<billing::TaxCategory> =
    std::to_array<RowWord<billing::TaxCategory>>({{billing::TaxCategory::kStandard, "S"},
                                                  {billing::TaxCategory::kZeroRated, "Z"},
                                                  {billing::TaxCategory::kExempt, "E"},
                                                  {billing::TaxCategory::kReverseCharge, "AE"},
                                                  {billing::TaxCategory::kExport, "G"},
                                                  {billing::TaxCategory::kOutOfScope, "O"}});
template <>
inline constexpr auto kRowWords<billing::Meter> = std::to_array<RowWord<billing::Meter>>(
    {{billing::Meter::kPrompt, "prompt"}, {billing::Meter::kCompletion, "completion"}});
template <>
inline constexpr auto kRowWords<billing::IssuedInvoice::Kind> = std::to_array<RowWord<billing::IssuedInvoice::Kind>>(
    {{billing::IssuedInvoice::Kind::kInvoice, "invoice"}, {billing::IssuedInvoice::Kind::kCreditNote, "credit_note"}});

}  // namespace allod

namespace allod::billing {

std::optional<BillingProfile> FindProfileIn(TenantTx& tx, TenantId tenant);
std::optional<LegalEntity> FindLegalEntityIn(PgTx& tx, const std::string& id);
// Whole. NOT_FOUND.
Result<IssuedInvoice> ReadIssuedIn(TenantTx& tx, TenantId tenant, const std::string& id);
// What is to be decided on to credit the invoice. NOT_FOUND.
Result<CreditState> ReadCreditStateIn(TenantTx& tx, TenantId tenant, const std::string& id);
// Numbers it, books it and writes it, under the lock on the tenant's account. CLOCK_SKEW.
Result<IssuedInvoice> WriteIssuedIn(TenantTx& tx, const audit::PgLog& log, IssuedInvoice doc, Time now);

}  // namespace allod::billing
