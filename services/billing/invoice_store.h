// The part of billing's storage port that has invoices. As for all of it (store.h): every method is one whole
// transaction, all are idempotent, and one contract suite runs on PostgreSQL and on the fake.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/billing/invoice.h"

namespace allod::billing {

// A tenant with usage of an ended month that no invoice has.
struct DuePeriod {
  TenantId tenant;
  Time month;  // the earliest; for what was settled late alone the one after the last invoice
};

class InvoiceStore {
 public:
  virtual ~InvoiceStore() = default;

  // Makes or changes it. FAILED_PRECONDITION / NUMBER_PREFIX_IMMUTABLE; ALREADY_EXISTS / NUMBER_PREFIX_TAKEN.
  virtual Result<LegalEntity> SetLegalEntity(const LegalEntity& entity, Time now) = 0;
  virtual Result<LegalEntity> GetLegalEntity(const std::string& id) = 0;  // NOT_FOUND
  // Ordered by id, those after `after`.
  virtual Result<std::vector<LegalEntity>> ListLegalEntities(const std::string& after, int limit) = 0;

  // Makes or changes it. FAILED_PRECONDITION / NO_BILLING_ACCOUNT, NO_LEGAL_ENTITY.
  virtual Result<BillingProfile> SetBillingProfile(const BillingProfile& profile, Time now) = 0;
  virtual Result<BillingProfile> GetBillingProfile(TenantId tenant) = 0;  // NOT_FOUND

  // The invoice of the period: the one that there is, else it is made. Errors of DecideFinalise; FAILED_PRECONDITION /
  // CLOCK_SKEW when `now` is ahead of the store's clock, because dates never go back along numbers. Credit notes alike.
  virtual Result<IssuedInvoice> FinaliseInvoice(const FinaliseCommand& command, Time now) = 0;
  // NOT_FOUND without the invoice; errors of DecideCredit. The same request again gives the same credit note, with
  // another payload ALREADY_EXISTS / REQUEST_ID_REUSED.
  virtual Result<IssuedInvoice> CreateCreditNote(const CreditCommand& command, Time now) = 0;
  // An invoice or a credit note, whole. NOT_FOUND.
  virtual Result<IssuedInvoice> FindInvoice(TenantId tenant, const std::string& id) = 0;
  // A line of either. NOT_FOUND.
  virtual Result<IssuedLine> FindInvoiceLine(TenantId tenant, const std::string& id, std::int32_t number) = 0;
  // Without their lines and taxes; descending by id, those before `before` unless it is empty.
  virtual Result<std::vector<IssuedInvoice>> ListInvoices(TenantId tenant, const std::string& before, int limit) = 0;

  // Accounts that are finalised by themselves and have something to invoice of months before that of `before`; by id,
  // those after `after`. Accounts without a profile, and those invoiced by hand, are not looked at.
  virtual Result<std::vector<DuePeriod>> TenantsWithDuePeriods(Time before, std::optional<TenantId> after,
                                                               int limit) = 0;
};

}  // namespace allod::billing
