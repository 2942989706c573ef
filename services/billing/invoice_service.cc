#include "services/billing/invoice_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "services/billing/convert.h"
#include "services/billing/convert_invoice.h"
#include "services/billing/documents/document.h"
#include "services/common/digest.h"
#include "services/common/fault_point.h"
#include "services/common/page_token.h"
#include "services/common/rpc/server.h"

namespace allod::billing {
namespace {

constexpr std::size_t kSliceBytesMax = 1 << 20;

// Of a file, from `offset` on.
Result<v1::InvoiceDocument> Slice(const documents::Document& document, std::int64_t offset) {
  const auto size = static_cast<std::int64_t>(document.content.size());
  if (offset < 0 || offset > size) {
    return InvalidArgument("INVALID_OFFSET", fmt::format("offset: {} is not from 0 to {}", offset, size));
  }
  v1::InvoiceDocument out;
  out.set_content(document.content.substr(static_cast<std::size_t>(offset), kSliceBytesMax));
  out.set_media_type(document.media_type);
  out.set_file_name(document.file_name);
  out.set_sha256(Sha256Hex(document.content));
  out.set_size_bytes(size);
  return out;
}

std::unexpected<Error> TooLong() {
  return Fail(
      Code::kOutOfRange, "INVOICE_TOO_LONG",
      fmt::format("name: the invoice has more than {} lines; read the usage records instead", kInvoiceLinesMax));
}

}  // namespace

Result<v1::Invoice> InvoiceServiceImpl::Draft(TenantId tenant, const InvoicePeriod& period,
                                              const std::string& project) {
  ALLOD_TRY(const BillingAccount account, store_.GetBillingAccount(tenant));
  ALLOD_TRY(const auto lines, store_.SumMonth({tenant, period.start, kInvoiceLinesMax + 1, project}));
  ALLOD_TRY(const auto charges, store_.OpenCharges({tenant, period.start, kInvoiceLinesMax + 1, project}));
  if (lines.size() + charges.size() > kInvoiceLinesMax) return TooLong();
  ALLOD_TRY(const Amount used, TotalOf(lines));
  ALLOD_TRY(const Amount charged, TotalOf(charges));
  ALLOD_TRY(const Amount total, Add(used, charged));
  return ToProto(account, period, lines, charges, total);
}

grpc::Status InvoiceServiceImpl::GetInvoice(grpc::ServerContext* context, const v1::GetInvoiceRequest* request,
                                            v1::Invoice* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Invoice> {
    ALLOD_TRY(const InvoiceName name, ParseInvoiceName("name", request->name(), clock_.Now()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reports, call));
    const auto issued = store_.FindInvoice(name.tenant, name.id.ToString());
    if (issued) return ToProto(*issued, call.principal.project);
    if (issued.error().code != Code::kNotFound || name.id.credit_note != 0) return std::unexpected(issued.error());
    return Draft(name.tenant, name.id.period, call.principal.project);
  });
}

grpc::Status InvoiceServiceImpl::ListInvoices(grpc::ServerContext* context, const v1::ListInvoicesRequest* request,
                                              v1::ListInvoicesResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListInvoicesResponse> {
    ALLOD_CHECK_OK(MatchName("parent", request->parent(), "tenants/*"));
    ALLOD_TRY(const TenantId tenant, TenantId::FromName(request->parent()));
    ALLOD_TRY(const PageRequest page,
              ParsePage("invoices of " + request->parent(), request->page_size(), request->page_token()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reports, call));
    ALLOD_TRY(auto invoices, store_.ListInvoices(tenant, page.after, page.size + 1));
    const auto listed = MakePage(page, std::move(invoices), [](const IssuedInvoice& invoice) { return invoice.id; });
    v1::ListInvoicesResponse out;
    for (const IssuedInvoice& invoice : listed.items) *out.add_invoices() = ToProto(invoice, "");
    out.set_next_page_token(listed.next_page_token);
    return out;
  });
}

grpc::Status InvoiceServiceImpl::GetInvoiceDocument(grpc::ServerContext* context,
                                                    const v1::GetInvoiceDocumentRequest* request,
                                                    v1::InvoiceDocument* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::InvoiceDocument> {
    ALLOD_TRY(const InvoiceName name, ParseInvoiceName("name", request->name(), clock_.Now()));
    ALLOD_TRY(const documents::Format format, FromProto(request->format()));
    std::optional<IssuedInvoice> issued;
    {
      ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reports, call));
      ALLOD_TRY(issued, Issued(name));
      if (format != documents::Format::kPdf) {
        ALLOD_TRY(const documents::Document made, documents::Render(*issued, format, request->language_code()));
        return Slice(made, request->offset());
      }
    }
    ALLOD_TRY(const documents::Document pdf, Pdf(call, *issued, request->language_code()));
    return Slice(pdf, request->offset());
  });
}

Result<IssuedInvoice> InvoiceServiceImpl::Issued(const InvoiceName& name) {
  auto issued = store_.FindInvoice(name.tenant, name.id.ToString());
  if (issued || issued.error().code != Code::kNotFound || name.id.credit_note != 0) return issued;
  ALLOD_CHECK_OK(store_.GetBillingAccount(name.tenant));
  return FailedPrecondition("INVOICE_NOT_ISSUED",
                            fmt::format("name: {} is a draft; files are made of what is issued", name.id.ToString()));
}

Result<documents::Document> InvoiceServiceImpl::Pdf(const Call& call, const IssuedInvoice& invoice,
                                                    const std::string& language) {
  ALLOD_TRY(auto kept, pdf_.Find(invoice, language));
  if (kept) return *std::move(kept);
  ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.typesetting, call));
  // Who waited for a place may have waited for this one.
  ALLOD_TRY(kept, pdf_.Find(invoice, language));
  if (kept) return *std::move(kept);
  return pdf_.Make(invoice, language);
}

grpc::Status InvoiceServiceImpl::FinaliseInvoice(grpc::ServerContext* context,
                                                 const v1::FinaliseInvoiceRequest* request, v1::Invoice* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<v1::Invoice> {
    ALLOD_TRY(const InvoiceName name, ParseInvoiceName("name", request->name(), clock_.Now()));
    if (name.id.credit_note != 0) {
      return InvalidArgument("INVALID_PERIOD", "name: a credit note is issued by CreateCreditNote; give a month");
    }
    ALLOD_TRY(const IssuedInvoice invoice, store_.FinaliseInvoice({name.tenant, name.id.period, grace_}, clock_.Now()));
    ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kFinaliseCommitted));
    return ToProto(invoice, "");
  });
}

grpc::Status InvoiceServiceImpl::CreateCreditNote(grpc::ServerContext* context,
                                                  const v1::CreateCreditNoteRequest* request, v1::Invoice* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<v1::Invoice> {
    ALLOD_TRY(const CreditCommand command, FromProto(*request, clock_.Now()));
    ALLOD_TRY(const IssuedInvoice note, store_.CreateCreditNote(command, clock_.Now()));
    ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kCreditCommitted));
    return ToProto(note, "");
  });
}

}  // namespace allod::billing
