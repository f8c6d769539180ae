// Plain numeric tags `ns=…;s=Tag.0` … for load tests: each value is the server's clock in ms since 1970.
import opcua from "node-opcua";

const { DataType, StatusCodes } = opcua;

export class Tags {
  constructor(namespace, space, count, rateHz) {
    this.periodMs = 1000 / rateHz;
    this.tags = [];
    if (count === 0) return;
    const folder = namespace.addFolder(space.rootFolder.objects, { browseName: "Tags" });
    for (let number = 0; number < count; number++) {
      this.tags.push(
        namespace.addVariable({
          browseName: `Tag${number}`,
          componentOf: folder,
          nodeId: `s=Tag.${number}`,
          dataType: "Double",
          value: { dataType: DataType.Double, value: 0 },
          minimumSamplingInterval: 0,
        }),
      );
    }
  }

  run() {
    if (this.tags.length === 0) return;
    let due = performance.now();
    const round = () => {
      const now = new Date();
      const value = { dataType: DataType.Double, value: now.getTime() };
      for (const tag of this.tags) tag.setValueFromSource(value, StatusCodes.Good, now);
      due = Math.max(due + this.periodMs, performance.now() - 1000); // after a stop, do not catch up for ever
      setTimeout(round, Math.max(0, due - performance.now()));
    };
    round();
  }
}
