// How values stand in files, whatever the format.
#pragma once

#include <string>
#include <string_view>

#include "services/billing/invoice.h"

namespace allod::billing::documents {

std::string Date(Time time);                       // 2026-10-31
std::string IsoTime(Time time);                    // 2026-10-31T23:59:59Z
std::string Fixed(Amount amount, int decimals);    // with all decimals of the minor unit: 12.50
std::string Grouped(std::string_view number);      // 1234567.89 as 1 234 567.89, with thin spaces that do not break
std::string Percent(std::int32_t basis_points);    // 16, 7.5
std::string Upper(std::string_view country_code);  // KE
Time LastDay(const InvoicePeriod& period);         // within it
bool IsCredit(const IssuedInvoice& invoice);
Amount Negated(Amount amount);
std::string_view LastSegment(std::string_view resource_name);
std::string_view CodeOf(ChargeKind kind);  // instance_time
std::string_view CodeOf(ChargeUnit unit);  // second
// What a line is of, in English: Prompt tokens, Instance time.
std::string_view EnglishNameOf(const IssuedLine& line);
// Which of several units a price is of, exact where that is a decimal of 12 digits: 1.5 of 5400 seconds at the hour.
std::string PricedQuantity(std::int64_t quantity, std::int64_t per);

}  // namespace allod::billing::documents
