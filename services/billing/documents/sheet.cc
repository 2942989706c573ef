#include "services/billing/documents/sheet.h"

#include <fmt/format.h>

#include <utility>

#include "services/billing/documents/text.h"

namespace allod::billing::documents {
namespace {

using typesetting::Block;
using typesetting::Cell;
using typesetting::Fact;
using typesetting::Sheet;

// Reads from left to right also within a page that does not (LRI and PDI of UAX 9).
std::string Ltr(std::string_view text, const Words& words) {
  if (words.direction != "rtl") return std::string(text);
  return fmt::format("\u2066{}\u2069", text);
}

Block BlockOf(std::string_view role, const Party& party, const Words& words) {
  Block out{.title = std::string(role), .lines = {party.name}};
  if (!party.street.empty()) out.lines.push_back(party.street);
  const std::string place = party.postal_code.empty() ? party.city : party.postal_code + " " + party.city;
  if (!place.empty()) out.lines.push_back(place);
  const auto add = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) out.lines.push_back(fmt::format("{}: {}", name, Ltr(value, words)));
  };
  add(words.country, Upper(party.country_code));
  add(words.tax_id, party.tax_id);
  add(words.registration, party.registration_id);
  return out;
}

std::vector<Fact> FactsOf(const IssuedInvoice& invoice, const Words& words) {
  std::vector<Fact> out;
  const auto add = [&](std::string_view name, std::string value) {
    out.push_back({std::string(name), std::move(value)});
  };
  add(words.number, Ltr(invoice.number, words));
  add(words.issued, Ltr(Date(invoice.issue_time), words));
  if (!IsCredit(invoice)) add(words.due, Ltr(Date(invoice.due_time), words));
  add(words.period, Ltr(Date(invoice.period.start) + " – " + Date(LastDay(invoice.period)), words));
  if (!invoice.buyer_reference.empty()) add(words.reference, invoice.buyer_reference);
  if (IsCredit(invoice)) {
    add(words.corrects, Ltr(invoice.corrected_number, words));
    add(words.reason, invoice.reason);
  }
  return out;
}

std::vector<std::string> Paragraphs(std::string_view text) {
  std::vector<std::string> out;
  while (true) {
    const std::size_t end = text.find('\n');
    out.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

Cell Number(std::string text) { return {.text = std::move(text)}; }

std::string NameOf(const IssuedLine& line, const Words& words) {
  const std::string_view name = line.charge                    ? WordOf(line.charge->kind, words)
                                : line.meter == Meter::kPrompt ? words.prompt_tokens
                                                               : words.completion_tokens;
  return fmt::format("{} {}", name, Ltr(PeriodOf(line.month).name, words));
}

// Below the name: of what it is, and of a charge how it comes about, in symbols, which are those of every language.
std::vector<std::string> AboutLine(const IssuedLine& line) {
  std::vector<std::string> out;
  if (!line.instance.empty()) {
    out = {line.instance, fmt::format("{} · {}", line.variant, line.isolation_class)};
  }
  if (!line.charge) return out;
  if (!line.charge->detail.empty()) out.push_back(line.charge->detail);
  const std::string quantity = Grouped(std::to_string(line.quantity));
  const std::string price = Grouped(line.unit_price.ToString());
  if (line.quantity > 0 && line.charge->unit == ChargeUnit::kSecond) {
    out.push_back(fmt::format("{} s × {} / {} s", quantity, price, line.charge->per));
  }
  return out;
}

Result<std::vector<typesetting::Row>> RowsOf(const IssuedInvoice& invoice, int decimals, const Words& words) {
  std::vector<typesetting::Row> out;
  out.reserve(invoice.lines.size());
  const bool is_credit = IsCredit(invoice);
  Amount sum;
  for (const IssuedLine& line : invoice.lines) {
    ALLOD_TRY(sum, Add(sum, line.amount));
    typesetting::Row row;
    row.cells.push_back(Number(std::to_string(is_credit ? line.credited_line : line.number)));
    row.cells.push_back({.text = NameOf(line, words), .small = AboutLine(line)});
    if (!is_credit && line.charge) {
      row.cells.resize(row.cells.size() + 3);
    } else if (!is_credit) {
      row.cells.push_back(Number(Grouped(std::to_string(line.request_count))));
      row.cells.push_back(Number(Grouped(std::to_string(line.quantity))));
      row.cells.push_back(Number(Grouped(PerMillion(line.unit_price))));
    }
    row.cells.push_back(Number(Grouped(Fixed(line.amount, decimals))));
    row.running = Grouped(Fixed(sum, decimals));
    out.push_back(std::move(row));
  }
  return out;
}

}  // namespace

Result<Sheet> SheetOf(const IssuedInvoice& invoice, int decimals, const Words& words) {
  const bool is_credit = IsCredit(invoice);
  Sheet out;
  out.language = words.language;
  out.is_right_to_left = words.direction == "rtl";
  out.title = is_credit ? words.credit_note : words.invoice;
  out.number = invoice.number;
  out.issuer = invoice.seller.name;
  out.created = IsoTime(invoice.issue_time);
  out.facts = FactsOf(invoice, words);
  out.blocks = {BlockOf(words.seller, invoice.seller, words), BlockOf(words.buyer, invoice.buyer, words)};
  const auto column = [&](std::string_view title, bool is_number) {
    out.columns.push_back({std::string(title), is_number});
  };
  column(words.line, true);
  column(words.description, false);
  if (!is_credit) {
    column(words.requests, true);
    column(words.tokens, true);
    column(words.price_per_million, true);
  }
  column(fmt::format("{} ({})", words.amount, invoice.currency_code), true);
  ALLOD_TRY(out.rows, RowsOf(invoice, decimals, words));
  const auto total = [&](std::string name, const Amount& amount) {
    out.totals.push_back({std::move(name), Grouped(Fixed(amount, decimals))});
  };
  total(std::string(words.net), invoice.net);
  for (const TaxSubtotal& tax : invoice.taxes) {
    std::string name =
        fmt::format("{} {}, {}", words.tax, WordOf(tax.category, words), Ltr(Percent(tax.basis_points) + "%", words));
    if (!tax.note.empty()) name += " " + tax.note;
    total(std::move(name), tax.tax);
  }
  out.totals.push_back({std::string(is_credit ? words.credited : words.payable),
                        fmt::format("{} {}", invoice.currency_code, Grouped(Fixed(invoice.payable, decimals))), true});
  if (!invoice.payment_terms.empty()) {
    out.notes.push_back({std::string(words.payment), Paragraphs(invoice.payment_terms)});
  }
  out.carried_forward = words.carried_forward;
  out.brought_forward = words.brought_forward;
  out.page_of = words.page_of;
  return out;
}

}  // namespace allod::billing::documents
