// Where instance time is kept. Each method is one whole transaction; thread-safe and blocking. Besides the errors named
// here every method may fail with UNAVAILABLE.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/billing/instance_time/instance_time.h"

namespace allod::billing::instance_time {

struct RecordedTime {
  struct One {
    bool costs = false;  // something by the hour
  };
  std::vector<Result<One>> intervals;  // errors of DecideInstanceTime
  bool credit_used_up = false;         // what is owed has reached the limit
};

// The place after which a page begins.
struct InstanceTimeKey {
  std::string instance;
  Uuid id;
};

struct InstanceTimeQuery {
  TenantId tenant;
  std::optional<Time> month = {};  // nothing: all
  std::string project;             // its id; empty: all
  InstanceTimeKey after;
  int limit = 50;
};

class InstanceTimeStore {
 public:
  virtual ~InstanceTimeStore() = default;
  // At most kIntervalsPerReportMax intervals, each of which counts once however often it is told.
  // FAILED_PRECONDITION / NO_BILLING_ACCOUNT.
  virtual Result<RecordedTime> RecordInstanceTime(TenantId tenant, const std::vector<InstanceInterval>& intervals) = 0;
  // Ordered by instance and id.
  virtual Result<std::vector<InstanceTimeTotal>> ListInstanceTime(const InstanceTimeQuery& query) = 0;
};

}  // namespace allod::billing::instance_time
