#include "services/billing/payouts/payout_documents.h"

#include <fmt/format.h>

#include "services/billing/documents/text.h"
#include "services/billing/documents/words.h"
#include "services/common/csv.h"

namespace allod::billing::payouts {

using documents::Fixed;
using documents::Grouped;
using documents::Percent;

Result<documents::Document> MakeCsv(const Payout& payout) {
  ALLOD_TRY(const int decimals, MinorUnitDecimals("currency_code", payout.key.currency_code));
  CsvRows rows;
  for (const char* name : {"payout", "number", "publisher", "period", "currency", "line", "listing", "share_percent",
                           "documents", "net", "share", "payable"}) {
    rows.Add(name);
  }
  rows.End();
  for (const PayoutLine& line : payout.lines) {
    rows.Add(payout.key.ToName());
    rows.Add(payout.number);
    rows.Add(payout.key.publisher);
    rows.Add(payout.key.period.name);
    rows.Add(payout.key.currency_code);
    rows.AddNumber(std::to_string(line.number));
    rows.Add(line.listing);
    rows.AddNumber(Percent(line.basis_points));
    rows.AddNumber(std::to_string(line.document_count));
    rows.AddNumber(Fixed(line.net, decimals));
    rows.AddNumber(line.share.ToString());
    // Of the payout as a whole, once.
    rows.AddNumber(line.number == 1 ? Fixed(payout.payable, decimals) : "");
    rows.End();
  }
  return documents::Document{rows.Take(), "text/csv; charset=utf-8; header=present", payout.number + ".csv"};
}

Result<typesetting::Sheet> SheetOf(const Payout& payout) {
  ALLOD_TRY(const int decimals, MinorUnitDecimals("currency_code", payout.key.currency_code));
  ALLOD_TRY(const documents::Words* words, documents::WordsIn("en"));
  const std::string& currency = payout.key.currency_code;
  typesetting::Sheet out;
  out.language = "en";
  out.title = "Payout statement";
  out.number = payout.number;
  out.issuer = payout.payer.name;
  out.created = documents::IsoTime(payout.issue_time);
  out.facts = {{"Number", payout.number},
               {"Issued", documents::Date(payout.issue_time)},
               {"Until the end of", payout.key.period.name}};
  const Party& payer = payout.payer;
  typesetting::Block from{.title = "Payer", .lines = {payer.name}};
  for (const std::string& line : {payer.street, fmt::format("{} {}", payer.postal_code, payer.city),
                                  fmt::format("{}: {}", words->country, documents::Upper(payer.country_code))}) {
    if (line.find_first_not_of(' ') != std::string::npos) from.lines.push_back(line);
  }
  if (!payer.tax_id.empty()) from.lines.push_back(fmt::format("{}: {}", words->tax_id, payer.tax_id));
  out.blocks = {from, {.title = "Publisher", .lines = {payout.key.publisher}}};
  out.columns = {{"Line", true},         {"Listing", false}, {"Documents", true},
                 {"Net of usage", true}, {"Share %", true},  {fmt::format("Share ({})", currency), true}};
  Amount sum;
  for (const PayoutLine& line : payout.lines) {
    ALLOD_TRY(sum, Add(sum, line.share));
    typesetting::Row row;
    row.cells = {{.text = std::to_string(line.number)},
                 {.text = line.listing},
                 {.text = Grouped(std::to_string(line.document_count))},
                 {.text = Grouped(Fixed(line.net, decimals))},
                 {.text = Percent(line.basis_points)},
                 {.text = Grouped(Fixed(line.share, decimals))}};
    row.running = Grouped(Fixed(sum, decimals));
    out.rows.push_back(std::move(row));
  }
  out.totals = {{"Earned", Grouped(Fixed(payout.earned, decimals)), false},
                {"Payable, in whole minor units",
                 fmt::format("{} {}", currency, Grouped(Fixed(payout.payable, decimals))), true}};
  out.carried_forward = words->carried_forward;
  out.brought_forward = words->brought_forward;
  out.page_of = words->page_of;
  return out;
}

}  // namespace allod::billing::payouts
