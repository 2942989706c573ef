#include "services/billing/corrections/room.h"

#include "services/billing/corrections/correction_service.h"
#include "services/billing/corrections/pg_correction_store.h"

namespace allod::billing::corrections {
namespace {

class CorrectionsRoom final : public Room {
 public:
  explicit CorrectionsRoom(const Shared& shared) : store_(shared.desk), service_(store_, shared.clock, shared.gates) {}

  std::vector<grpc::Service*> services() override { return {&service_}; }

 private:
  PgCorrectionStore store_;
  CorrectionServiceImpl service_;
};

}  // namespace

std::unique_ptr<RoomPlan> PlanRoom() { return std::make_unique<PlainRoomPlan<CorrectionsRoom>>(); }

}  // namespace allod::billing::corrections
