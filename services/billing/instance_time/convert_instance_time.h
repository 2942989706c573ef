// Between allod.billing.v1.InstanceTime* and the domain.
#pragma once

#include <string>

#include "allod/billing/v1/instance_time.pb.h"
#include "services/billing/instance_time/instance_time_store.h"
#include "services/common/page_token.h"

namespace allod::billing::instance_time {

// INVALID_ARGUMENT names the field; OTHER_TENANT for an instance of another tenant than `tenant_name`.
Result<InstanceInterval> FromProto(const v1::InstanceInterval& interval, const std::string& tenant_name);

struct InstanceTimePage {
  InstanceTimeQuery query;
  PageRequest page;
};
// `project` is that of the key that asks; empty: all. `now` says which month is the current one.
Result<InstanceTimePage> FromProto(const v1::ListInstanceTimeRequest& request, const std::string& project, Time now);
// Where a page that ends with it goes on.
std::string PageKeyOf(const InstanceTimeTotal& time);

v1::InstanceTime ToProto(const InstanceTimeTotal& time, const std::string& currency_code);

}  // namespace allod::billing::instance_time
