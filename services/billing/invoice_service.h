// RPCs of InvoiceService. Thread-safe; borrows the store, the clock and the gates.
#pragma once

#include "allod/billing/v1/invoice.grpc.pb.h"
#include "services/billing/call_gates.h"
#include "services/billing/store.h"
#include "services/common/clock.h"

namespace allod::billing {

class InvoiceServiceImpl final : public v1::InvoiceService::Service {
 public:
  // `grace`: how long after its end a month may be finalised.
  InvoiceServiceImpl(Store& store, const Clock& clock, CallGates& gates,
                     std::chrono::seconds grace = kSettlementGraceDefault)
      : store_(store), clock_(clock), gates_(gates), grace_(grace) {}

  grpc::Status GetInvoice(grpc::ServerContext* context, const v1::GetInvoiceRequest* request,
                          v1::Invoice* response) override;
  grpc::Status ListInvoices(grpc::ServerContext* context, const v1::ListInvoicesRequest* request,
                            v1::ListInvoicesResponse* response) override;
  grpc::Status GetInvoiceDocument(grpc::ServerContext* context, const v1::GetInvoiceDocumentRequest* request,
                                  v1::InvoiceDocument* response) override;
  grpc::Status FinaliseInvoice(grpc::ServerContext* context, const v1::FinaliseInvoiceRequest* request,
                               v1::Invoice* response) override;
  grpc::Status CreateCreditNote(grpc::ServerContext* context, const v1::CreateCreditNoteRequest* request,
                                v1::Invoice* response) override;

 private:
  Result<v1::Invoice> Draft(TenantId tenant, const InvoicePeriod& period, const std::string& project);

  Store& store_;
  const Clock& clock_;
  CallGates& gates_;
  const std::chrono::seconds grace_;
};

}  // namespace allod::billing
