// `allod invoice finalise|list|get|document|credit`: what is issued.

#include <fmt/format.h>

#include <map>
#include <vector>

#include "allod/billing/v1/invoice.grpc.pb.h"
#include "cli/commands/document_file.h"
#include "cli/commands/invoice_view.h"
#include "cli/commands/may_be_done.h"
#include "cli/commands/tenant_commands.h"
#include "cli/net/connections.h"
#include "cli/net/pages.h"
#include "cli/terminal/print.h"
#include "services/common/ids.h"

namespace allod::cli::commands {
namespace {

namespace billing_v1 = allod::billing::v1;
using Invoices = billing_v1::InvoiceService;

constexpr int kInvoicesListedMax = 10'000;
constexpr std::chrono::seconds kIssueTimeout{60};  // thousands of lines

const std::map<std::string, billing_v1::DocumentFormat> kFormats = {{"csv", billing_v1::DOCUMENT_FORMAT_CSV},
                                                                    {"focus", billing_v1::DOCUMENT_FORMAT_FOCUS},
                                                                    {"ubl", billing_v1::DOCUMENT_FORMAT_UBL},
                                                                    {"html", billing_v1::DOCUMENT_FORMAT_HTML},
                                                                    {"pdf", billing_v1::DOCUMENT_FORMAT_PDF}};

struct InvoiceActionOptions {
  std::string tenant;
  std::string invoice;
  billing_v1::DocumentFormat format = billing_v1::DOCUMENT_FORMAT_HTML;
  std::string language;
  std::string file;
  std::string reason;
  std::vector<std::string> lines;
  bool all = false;
  std::string request_id;
};

Result<std::string> NameOf(const InvoiceActionOptions& options) {
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  ALLOD_CHECK_OK(CheckId("invoice", options.invoice));
  return tenant + "/invoices/" + options.invoice;
}

void ShowIssued(const Globals& globals, const billing_v1::Invoice& invoice) {
  terminal::Print(globals.json() ? terminal::ToJson(invoice) : ShowInvoice(invoice));
}

Status FinaliseInvoice(const Globals& globals, const InvoiceActionOptions& options) {
  billing_v1::FinaliseInvoiceRequest request;
  ALLOD_TRY(*request.mutable_name(), NameOf(options));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto invoice, net::Ask<Invoices>(services, &Invoices::Stub::FinaliseInvoice, request, kIssueTimeout));
  ShowIssued(globals, invoice);
  return {};
}

Status GetIssued(const Globals& globals, const InvoiceActionOptions& options) {
  billing_v1::GetInvoiceRequest request;
  ALLOD_TRY(*request.mutable_name(), NameOf(options));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto invoice, net::Ask<Invoices>(services, &Invoices::Stub::GetInvoice, request));
  ShowIssued(globals, invoice);
  return {};
}

Status ListIssued(const Globals& globals, const InvoiceActionOptions& options) {
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  billing_v1::ListInvoicesRequest request;
  request.set_parent(tenant);
  ALLOD_TRY(const auto listed,
            net::List<Invoices>(services, &Invoices::Stub::ListInvoices, request, kInvoicesListedMax));
  if (listed.items.empty()) ALLOD_CHECK_OK(CheckThereIs(services, tenant));
  terminal::PrintList(globals.json(),
                      {{"NAME", "name"},
                       {"NUMBER", "number"},
                       {"KIND", "kind"},
                       {"ISSUED", "issue_time"},
                       {"CURRENCY", "payable.currency_code"},
                       {"NET", "total.amount"},
                       {"TAX", "tax_total.amount"},
                       {"PAYABLE", "payable.amount"}},
                      terminal::PointersTo(listed.items));
  return {};
}

// All slices.
Result<billing_v1::InvoiceDocument> Fetch(const net::Services& services, const InvoiceActionOptions& options) {
  billing_v1::GetInvoiceDocumentRequest request;
  ALLOD_TRY(*request.mutable_name(), NameOf(options));
  request.set_format(options.format);
  request.set_language_code(options.language);
  const auto stub = net::Connect<Invoices>(services);
  ALLOD_TRY(auto document, net::Ask(*stub, &Invoices::Stub::GetInvoiceDocument, request, kIssueTimeout));
  while (static_cast<std::int64_t>(document.content().size()) < document.size_bytes()) {
    request.set_offset(static_cast<std::int64_t>(document.content().size()));
    ALLOD_TRY(const auto slice, net::Ask(*stub, &Invoices::Stub::GetInvoiceDocument, request));
    if (slice.content().empty()) break;
    document.mutable_content()->append(slice.content());
  }
  return document;
}

Status WriteDocument(const Globals& globals, const InvoiceActionOptions& options) {
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto document, Fetch(services, options));
  return KeepDocument(globals, options.file, document.content(), document.sha256());
}

// "3" or "3=12.50".
Result<billing_v1::CreateCreditNoteRequest::Line> CreditLine(const std::string& text) {
  billing_v1::CreateCreditNoteRequest::Line out;
  const std::string number = text.substr(0, text.find('='));
  if (number.empty() || number.size() > 6 || number.find_first_not_of("0123456789") != std::string::npos) {
    return InvalidArgument("INVALID_CREDIT", fmt::format("--line: '{}' is neither NUMBER nor NUMBER=AMOUNT", text));
  }
  out.set_number(std::stoi(number));
  if (number.size() < text.size()) out.set_amount(text.substr(number.size() + 1));
  return out;
}

Status CreditInvoice(const Globals& globals, const InvoiceActionOptions& options) {
  billing_v1::CreateCreditNoteRequest request;
  ALLOD_TRY(*request.mutable_invoice(), NameOf(options));
  if (options.all != options.lines.empty()) {
    return InvalidArgument("INVALID_CREDIT", "say which lines (--line NUMBER, --line NUMBER=AMOUNT), or --all");
  }
  for (const std::string& text : options.lines) {
    ALLOD_TRY(*request.add_lines(), CreditLine(text));
  }
  request.set_reason(options.reason);
  request.set_request_id(RequestIdOr(options.request_id));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  const auto note = net::Ask<Invoices>(services, &Invoices::Stub::CreateCreditNote, request, kIssueTimeout);
  if (!note) return std::unexpected(ToRepeat(note.error(), request.request_id()));
  ShowIssued(globals, *note);
  return {};
}

}  // namespace

void AddInvoiceActions(CLI::App& invoice, Globals& globals) {
  const auto add = [&](const char* name, const char* what, auto run, bool of_one) {
    const auto [command, options] = AddCommand<InvoiceActionOptions>(invoice, globals, name, what, run);
    command->add_option("tenant", options->tenant, kTenantHelp)->required();
    if (of_one) {
      command->add_option("invoice", options->invoice, "YYYY-MM, or YYYY-MM-cN of a credit note")->required();
    }
    return std::pair(command, options);
  };
  add("finalise", "Issue the invoice of an ended month", &FinaliseInvoice, true);
  add("list", "List what was issued to a tenant", &ListIssued, false);
  add("get", "Show an invoice or a credit note", &GetIssued, true);
  const auto [document, of_document] =
      add("document", "Write an issued invoice or credit note as a file", &WriteDocument, true);
  document->add_option("--format", of_document->format, "csv, focus, ubl, html or pdf (default: html)")
      ->type_name("FORMAT")
      ->transform(WordOf(kFormats));
  document->add_option("--language", of_document->language,
                       "Of html and pdf: am, ar, en, es, fr, hi, pt, ru or sw (default: en)");
  AddFileOption(*document, of_document->file);
  const auto [credit, of_credit] = add("credit", "Give back a part of an invoice, or all of it", &CreditInvoice, true);
  credit->add_option("--reason", of_credit->reason, "Stands on the credit note")->required();
  credit->add_option("--line", of_credit->lines, "NUMBER, or NUMBER=AMOUNT without tax; may be repeated")
      ->allow_extra_args(false);
  credit->add_flag("--all", of_credit->all, "What is left of all lines");
  AddRequestIdOption(*credit, of_credit->request_id);
}

}  // namespace allod::cli::commands
