#include "services/billing/instance_time/room.h"

#include "services/billing/instance_time/instance_time_service.h"
#include "services/billing/instance_time/pg_instance_time_store.h"

namespace allod::billing::instance_time {
namespace {

class InstanceTimeRoom final : public Room {
 public:
  explicit InstanceTimeRoom(const Shared& shared)
      : store_(shared.desk, shared.reports), service_(store_, shared.store, shared.clock, shared.gates) {}

  std::vector<grpc::Service*> services() override { return {&service_}; }

 private:
  PgInstanceTimeStore store_;
  InstanceTimeServiceImpl service_;
};

}  // namespace

std::unique_ptr<RoomPlan> PlanRoom() { return std::make_unique<PlainRoomPlan<InstanceTimeRoom>>(); }

}  // namespace allod::billing::instance_time
