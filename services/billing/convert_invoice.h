// Protocol messages of invoices, legal entities and billing profiles to domain values and back; convert.h says how.
#pragma once

#include "allod/billing/v1/billing_account.pb.h"
#include "allod/billing/v1/invoice.pb.h"
#include "allod/billing/v1/legal_entity.pb.h"
#include "services/billing/documents/document.h"
#include "services/billing/invoice.h"

namespace allod::billing {

namespace pb = ::allod::billing::v1;

// Checked (CheckLegalEntity, CheckBillingProfile).
Result<LegalEntity> FromProto(const pb::LegalEntity& entity);
pb::LegalEntity ToProto(const LegalEntity& entity);
Result<std::string> LegalEntityId(std::string_view field, const std::string& name);
Result<BillingProfile> FromProto(const pb::BillingProfile& profile);
pb::BillingProfile ToProto(const BillingProfile& profile);

// `tenants/{tenant}/invoices/{invoice}`.
struct InvoiceName {
  TenantId tenant;
  InvoiceId id;
};
Result<InvoiceName> ParseInvoiceName(std::string_view field, const std::string& name, Time now);
// `tenants/{tenant}/invoices/{invoice}/lines/{number}` below `parent`.
struct InvoiceLineName {
  InvoiceName invoice;
  std::int32_t number = 0;
};
Result<InvoiceLineName> ParseInvoiceLineName(const std::string& name, const std::string& parent, Time now);

Result<CreditCommand> FromProto(const pb::CreateCreditNoteRequest& request, Time now);
Result<documents::Format> FromProto(pb::DocumentFormat format);

// `project`: an API key's: lines of that project only, their sum, and nothing of the tenant's as a whole.
pb::Invoice ToProto(const IssuedInvoice& invoice, const std::string& project);

}  // namespace allod::billing
