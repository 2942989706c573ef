// RPCs of InvoiceService. Thread-safe; borrows what it is made of.
#pragma once

#include "allod/billing/v1/invoice.grpc.pb.h"
#include "services/billing/call_gates.h"
#include "services/billing/convert_invoice.h"
#include "services/billing/documents/pdf_documents.h"
#include "services/billing/store.h"
#include "services/common/clock.h"
#include "services/common/rpc/server.h"

namespace allod::billing {

class InvoiceServiceImpl final : public v1::InvoiceService::Service {
 public:
  // `grace`: how long after its end a month may be finalised.
  InvoiceServiceImpl(Store& store, documents::PdfDocuments& pdf, const Clock& clock, CallGates& gates,
                     std::chrono::seconds grace = kSettlementGraceDefault)
      : store_(store), pdf_(pdf), clock_(clock), gates_(gates), grace_(grace) {}

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

  // What is issued by that name.
  Result<IssuedInvoice> Issued(const InvoiceName& name);
  Result<documents::Document> Pdf(const Call& call, const IssuedInvoice& invoice, const std::string& language);

  Store& store_;
  documents::PdfDocuments& pdf_;
  const Clock& clock_;
  CallGates& gates_;
  const std::chrono::seconds grace_;
};

}  // namespace allod::billing
