#include <fmt/format.h>

#include "services/billing/documents/formats.h"
#include "services/billing/documents/text.h"
#include "services/common/markup.h"

namespace allod::billing::documents {
namespace {

constexpr std::string_view kStyle =
    "body{font:14px/1.5 sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;color:#111}"
    "h1{font-size:1.6rem;margin:0 0 1rem}h2{font-size:1rem;margin:0}"
    "section{display:inline-block;vertical-align:top;margin-inline-end:3rem;margin-block-end:1.5rem}"
    "dl{display:grid;grid-template-columns:max-content auto;gap:0 1rem;margin:0}dd{margin:0}"
    "table{border-collapse:collapse;width:100%}th,td{padding:.3rem .5rem;border-block-end:1px solid #ccc;"
    "text-align:start;vertical-align:top}.n{text-align:end;white-space:nowrap}"
    ".small{color:#555;font-size:.85em;overflow-wrap:anywhere}p{white-space:pre-line}"
    ".due{font-size:1.2em;font-weight:bold}.due th,.due td{border-block-start:2px solid #111}"
    "@media print{body{margin:0;max-width:none}tr{break-inside:avoid}}";

// Numbers and names read from left to right in any page.
std::string Ltr(std::string_view text) { return fmt::format("<bdi dir=\"ltr\">{}</bdi>", InMarkup(text)); }

class Page {
 public:
  Page(const IssuedInvoice& invoice, int decimals, const Words& words)
      : invoice_(invoice), decimals_(decimals), words_(words), is_credit_(IsCredit(invoice)) {}

  std::string Write() {
    const std::string_view title = is_credit_ ? words_.credit_note : words_.invoice;
    out_ = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"{}\" dir=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width\">\n<title>{} {}</title>\n<style>{}</style>\n</head>\n"
        "<body>\n<h1>{} {}</h1>\n",
        words_.language, words_.direction, title, InMarkup(invoice_.number), kStyle, title, Ltr(invoice_.number));
    Facts();
    WriteParty(words_.seller, invoice_.seller);
    WriteParty(words_.buyer, invoice_.buyer);
    Lines();
    Sums();
    if (!invoice_.payment_terms.empty()) {
      out_ += fmt::format("<h2>{}</h2>\n<p dir=\"auto\">{}</p>\n", words_.payment, InMarkup(invoice_.payment_terms));
    }
    return out_ + "</body>\n</html>\n";
  }

 private:
  void Fact(std::string_view name, const std::string& html) {
    out_ += fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, html);
  }
  static std::string Typed(std::string_view text) { return fmt::format("<bdi>{}</bdi>", InMarkup(text)); }

  void Facts() {
    out_ += "<section>\n<dl>\n";
    Fact(words_.number, Ltr(invoice_.number));
    Fact(words_.issued, Ltr(Date(invoice_.issue_time)));
    if (!is_credit_) Fact(words_.due, Ltr(Date(invoice_.due_time)));
    Fact(words_.period, Ltr(Date(invoice_.period.start) + " – " + Date(LastDay(invoice_.period))));
    if (!invoice_.buyer_reference.empty()) Fact(words_.reference, Typed(invoice_.buyer_reference));
    if (is_credit_) {
      Fact(words_.corrects, Ltr(invoice_.corrected_number));
      Fact(words_.reason, Typed(invoice_.reason));
    }
    out_ += "</dl>\n</section>\n";
  }

  void WriteParty(std::string_view role, const Party& party) {
    out_ += fmt::format("<section>\n<h2>{}</h2>\n<div>{}</div>\n", role, Typed(party.name));
    if (!party.street.empty()) out_ += fmt::format("<div>{}</div>\n", Typed(party.street));
    const std::string place = party.postal_code.empty() ? party.city : party.postal_code + " " + party.city;
    if (!place.empty()) out_ += fmt::format("<div>{}</div>\n", Typed(place));
    out_ += fmt::format("<div>{}: {}</div>\n", words_.country, Ltr(Upper(party.country_code)));
    if (!party.tax_id.empty()) out_ += fmt::format("<div>{}: {}</div>\n", words_.tax_id, Ltr(party.tax_id));
    if (!party.registration_id.empty()) {
      out_ += fmt::format("<div>{}: {}</div>\n", words_.registration, Ltr(party.registration_id));
    }
    out_ += "</section>\n";
  }

  std::string_view NameOf(const IssuedLine& line) const {
    if (line.charge) return WordOf(line.charge->kind, words_);
    return line.meter == Meter::kPrompt ? words_.prompt_tokens : words_.completion_tokens;
  }
  static std::string About(const IssuedLine& line) {
    return fmt::format("{}<br>{} · {}", Ltr(line.instance), Ltr(line.variant), Ltr(line.isolation_class));
  }
  // In symbols, which are those of every language.
  static std::string AboutCharge(const IssuedLine& line) {
    std::string out = line.instance.empty() ? "" : About(line);
    const auto add = [&](const std::string& html) { out += (out.empty() ? "" : "<br>") + html; };
    if (!line.charge->detail.empty()) add(Ltr(line.charge->detail));
    const std::string price = Grouped(line.unit_price.ToString());
    if (line.quantity > 0 && line.charge->unit == ChargeUnit::kSecond) {
      add(Ltr(fmt::format("{} s × {} / {} s", Grouped(std::to_string(line.quantity)), price, line.charge->per)));
    }
    return out;
  }

  void Lines() {
    out_ += fmt::format("<table>\n<thead><tr><th>{}</th><th>{}</th>", words_.line, words_.description);
    if (!is_credit_) {
      out_ += fmt::format("<th class=\"n\">{}</th><th class=\"n\">{}</th><th class=\"n\">{}</th>", words_.requests,
                          words_.tokens, words_.price_per_million);
    }
    out_ += fmt::format("<th class=\"n\">{} ({})</th></tr></thead>\n<tbody>\n", words_.amount, invoice_.currency_code);
    for (const IssuedLine& line : invoice_.lines) {
      out_ += fmt::format("<tr><td>{}</td><td>{} {}<div class=\"small\">{}</div></td>",
                          is_credit_ ? line.credited_line : line.number, NameOf(line), Ltr(PeriodOf(line.month).name),
                          line.charge ? AboutCharge(line) : About(line));
      if (!is_credit_ && line.charge) {
        out_ += "<td></td><td></td><td></td>";
      } else if (!is_credit_) {
        out_ += fmt::format("<td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>",
                            Grouped(std::to_string(line.request_count)), Grouped(std::to_string(line.quantity)),
                            Grouped(PerMillion(line.unit_price)));
      }
      out_ += fmt::format("<td class=\"n\">{}</td></tr>\n", Grouped(Fixed(line.amount, decimals_)));
    }
    out_ += "</tbody>\n";
  }

  void Sum(std::string_view name, const std::string& note, Amount amount) {
    out_ += fmt::format("<tr><td></td><th colspan=\"{}\">{}{}</th><td class=\"n\">{}</td></tr>\n", is_credit_ ? 1 : 4,
                        name, note, Grouped(Fixed(amount, decimals_)));
  }

  void Sums() {
    out_ += "<tfoot>\n";
    Sum(words_.net, "", invoice_.net);
    for (const TaxSubtotal& tax : invoice_.taxes) {
      std::string note = fmt::format(" {}, {}", WordOf(tax.category, words_), Ltr(Percent(tax.basis_points) + "%"));
      if (!tax.note.empty()) note += " " + Typed(tax.note);
      Sum(words_.tax, note, tax.tax);
    }
    out_ += fmt::format("<tr class=\"due\"><td></td><th colspan=\"{}\">{}</th><td class=\"n\">{}</td></tr>\n",
                        is_credit_ ? 1 : 4, is_credit_ ? words_.credited : words_.payable,
                        Ltr(fmt::format("{} {}", invoice_.currency_code, Grouped(Fixed(invoice_.payable, decimals_)))));
    out_ += "</tfoot>\n</table>\n";
  }

  const IssuedInvoice& invoice_;
  const int decimals_;
  const Words& words_;
  const bool is_credit_;
  std::string out_;
};

}  // namespace

std::string MakeHtml(const IssuedInvoice& invoice, int decimals, const Words& words) {
  return Page(invoice, decimals, words).Write();
}

}  // namespace allod::billing::documents
