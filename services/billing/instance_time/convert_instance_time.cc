#include "services/billing/instance_time/convert_instance_time.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/billing/convert.h"
#include "services/common/rpc/timestamp.h"

namespace allod::billing::instance_time {
namespace {

// Names have no spaces.
Result<InstanceTimeKey> KeyFrom(const std::string& text) {
  InstanceTimeKey key;
  const std::size_t end = std::min(text.find(' '), text.size());
  key.instance = text.substr(0, end);
  ALLOD_TRY(key.id, Uuid::Parse(text.substr(std::min(end + 1, text.size()))));
  return key;
}

}  // namespace

Result<InstanceInterval> FromProto(const v1::InstanceInterval& interval, const std::string& tenant_name) {
  InstanceInterval out;
  ALLOD_TRY(out.replica, Uuid::Parse(interval.replica_uid()));
  ALLOD_TRY(out.start, TimeFrom("start_time", interval.start_time()));
  ALLOD_TRY(out.until, TimeFrom("until_time", interval.until_time()));
  ALLOD_CHECK_OK(CheckBelow("instance", interval.instance(), "tenants/*/projects/*/instances/*", tenant_name));
  ALLOD_CHECK_OK(MatchName("variant", interval.variant(), "models/*/versions/*/variants/*"));
  ALLOD_CHECK_OK(CheckIsolationClass("isolation_class", interval.isolation_class()));
  out.instance = interval.instance();
  out.generation = interval.generation();
  out.terms.variant = interval.variant();
  out.terms.isolation_class = interval.isolation_class();
  ALLOD_TRY(out.terms.price_book, PriceBookId("price_book", interval.price_book()));
  return out;
}

Result<InstanceTimePage> FromProto(const v1::ListInstanceTimeRequest& request, const std::string& project, Time now) {
  InstanceTimePage out;
  ALLOD_TRY(out.query.tenant, ParseTenant("parent", request.parent()));
  if (!request.month().empty()) {
    ALLOD_TRY(const InvoicePeriod period, ParsePeriod(request.month(), now));
    out.query.month = period.start;
  }
  out.query.project = project;
  ALLOD_TRY(out.page, ParsePage(fmt::format("instance time of {} {} {}", request.parent(), project, request.month()),
                                request.page_size(), request.page_token()));
  if (!out.page.after.empty()) {
    ALLOD_TRY(out.query.after, KeyFrom(out.page.after));
  }
  out.query.limit = out.page.size + 1;
  return out;
}

std::string PageKeyOf(const InstanceTimeTotal& time) { return time.instance + " " + time.id.ToString(); }

v1::InstanceTime ToProto(const InstanceTimeTotal& time, const std::string& currency_code) {
  v1::InstanceTime out;
  out.set_month(PeriodOf(time.month).name);
  out.set_instance(time.instance);
  out.set_variant(time.terms.variant);
  out.set_price_book("priceBooks/" + time.terms.price_book.ToString());
  out.set_isolation_class(time.terms.isolation_class);
  out.set_seconds(time.seconds);
  out.mutable_price_per_hour()->set_currency_code(currency_code);
  out.mutable_price_per_hour()->set_amount(PerHour(time.second_price));
  *out.mutable_amount() = billing::ToProto(time.amount, currency_code);
  return out;
}

}  // namespace allod::billing::instance_time
