/**
 * What the API tells of the cluster in English sentences (why a message is not consumed, what is wrong, whether a member may
 * be restarted), in Chinese. A sentence that is not here stays as it is: it is said in English rather than not at all.
 *
 * `{name}` stands for what differs, `<one|many>` for words that go by a number; of sentences that fit, the first counts.
 */
const sentences: readonly (readonly [english: string, chinese: string])[] = [
  // Why a message is not consumed.
  ['nobody may read topic {topic}: its permission is "{permission}"', '主题 {topic} 不可读：其权限为“{permission}”'],
  ['topic {topic} is there, and may be read', '主题 {topic} 存在且可读'],
  ['nobody leads broker set {set}', 'Broker 组 {set} 没有主节点'],
  ['broker set {set} has a leader', 'Broker 组 {set} 有主节点'],
  ['it was recalled, cancelled or rolled back at {time}', '已于 {time} 被撤回、取消或回滚'],
  ['it expired at {time}', '已于 {time} 过期'],
  ['its queue shows it', '在队列中可见'],
  ['it is half of a transaction that nobody has decided on', '它是半事务消息，尚未提交或回滚'],
  ['it is delayed until {time}, and should be visible by now', '延迟至 {time}，现在应当已可见'],
  ['it is delayed until {time}', '延迟至 {time}'],
  ['group {group} is paused', '消费者组 {group} 已暂停'],
  ['group {group} is not paused', '消费者组 {group} 未暂停'],
  ['{count} <member|members> of {group} <reads|read> {topic}', '消费者组 {group} 有 {count} 个成员订阅 {topic}'],
  ['nobody consumes in group {group} now', '消费者组 {group} 当前没有成员在消费'],
  [
    '{count} <member consumes|members consume> in group {group}, and none reads {topic}',
    '消费者组 {group} 有 {count} 个成员，但都没有订阅 {topic}',
  ],
  ['{wanting} of {count} <member|members> <wants|want> it', '{count} 个成员中有 {wanting} 个的过滤条件匹配'],
  [
    'no member wants it: its tag is "{tag}", members want "{wishes}"',
    '没有成员的过滤条件匹配：其标签为“{tag}”，成员要的是“{wishes}”',
  ],
  ['the group was moved beyond it at {time}, to offset {offset}', '消费者组于 {time} 被移到它之后，位点 {offset}'],
  [
    'the group began behind it, or passed it over: it is done up to offset {offset}',
    '消费者组从它之后开始，或跳过了它：已完成到位点 {offset}',
  ],
  ['{count} <message of its queue comes|messages of its queue come> before it', '队列中在它之前还有 {count} 条消息'],
  ['the group has come to it', '消费者组已消费到它'],
  ['an earlier message of message group "{name}" is not done yet', '消息组“{name}”中较早的消息尚未完成'],
  ['its message group is free for it', '其消息组没有阻塞'],
  ['attempt {attempt} has ended without an answer; it is due', '第 {attempt} 次投递没有应答就结束了；即将再次投递'],
  ['client {client} holds it until {time}, attempt {attempt}', '客户端 {client} 持有它至 {time}，第 {attempt} 次投递'],
  [
    'attempt {attempt} did not end well; it is due again at {time}',
    '第 {attempt} 次投递消费失败；将于 {time} 再次投递',
  ],
  ['attempt {attempt} did not end well; it is due again now', '第 {attempt} 次投递消费失败；现在可再次投递'],
  ['its consumer went away; it is due again at {time}', '其消费者已离开；将于 {time} 再次投递'],
  ['its consumer went away; it is due again now', '其消费者已离开；现在可再次投递'],
  ['it is a dead letter since {time}: see topic {topic}', '自 {time} 起成为死信：见主题 {topic}'],
  ['it is set aside for a member with another filter', '为过滤条件不同的成员保留'],
  [
    'no member wanted it when it was looked at, so the group is done with it',
    '查看时没有成员的过滤条件匹配，因此该组视其为已完成',
  ],
  ['nothing stands in its way: it is delivered when a member asks next', '没有阻碍：成员下次拉取时即会投递'],
  ['{group} has consumed it', '{group} 已消费该消息'],
  // Alerts.
  ['broker set {set} has one copy of its messages only', 'Broker 组 {set} 的消息只有一个副本'],
  ['{percent} % of the disk of {set} is free: new messages are refused', '{set} 的磁盘剩余 {percent} %：拒绝新消息'],
  ['{percent} % of the disk of {set} is free', '{set} 的磁盘剩余 {percent} %'],
  [
    '{lag} <message waits|messages wait> for group {group}, and nobody consumes',
    '消费者组 {group} 积压 {lag} 条消息，且没有消费者',
  ],
  ['{lag} <message waits|messages wait> for group {group}', '消费者组 {group} 积压 {lag} 条消息'],
  [
    'group {group} has {more} new dead <letter|letters>, {all} in all',
    '消费者组 {group} 新增 {more} 条死信，共 {all} 条',
  ],
  ['the certificate of {address} has ended: {time}', '{address} 的证书已过期：{time}'],
  ['the certificate of {address} ends in {days} <day|days>: {time}', '{address} 的证书将在 {days} 天后过期：{time}'],
  // What is wrong with the cluster.
  ['no broker has registered yet', '尚无 Broker 注册'],
  [
    'nobody leads, and it may hold messages that are not consumed: start its members again, and they are',
    '没有主节点，其中可能有未消费的消息：请重新启动其成员',
  ],
  ['nobody leads', '没有主节点'],
  ['takes no new messages (its disk is full)', '不接收新消息（磁盘已满）'],
  ['{bytes} <byte of its log is|bytes of its log are> lost ({command})', '日志丢失了 {bytes} 字节（{command}）'],
  [
    'user {user} still has the secret that was printed at the first start: {command} gives it another one',
    '用户 {user} 仍在使用首次启动时打印的密钥：请用 {command} 更换',
  ],
  // Members of broker sets.
  ['it only copies the log, and goes on with that afterwards', '它只复制日志，之后会继续'],
  ['it is the only member: nothing is taken or delivered until it is back', '它是唯一成员：恢复之前不能收发消息'],
  ['nobody leads: it may be needed to have a leader again', '没有主节点：选出主节点可能需要它'],
  ['no messages are taken now: waiting for {members}', '当前不接收消息：等待 {members}'],
  ['no messages are taken now', '当前不接收消息'],
  ['it is not in sync, and holds nobody up', '它未同步，不影响其他成员'],
  ['it is not in sync, and the others go on without it', '它未同步，其他成员照常工作'],
  ['{members} must be back in sync first', '须先等 {members} 恢复同步'],
  ['with one less, too few members are left', '再少一个，剩余成员不足'],
  ['another member takes over first, and no call fails', '先由其他成员接管，不会有调用失败'],
  ['the others go on', '其他成员照常工作'],
  ['follows {member}', '跟随 {member}'],
  ['protected, with no member to spare: waiting for {members}', '受保护，但没有多余成员：等待 {members}'],
  ['protected, with no member to spare', '受保护，但没有多余成员'],
  ['protected: waiting for {members}', '受保护：等待 {members}'],
  ['protected', '受保护'],
  ['single copy', '单副本'],
  ['no messages are taken: waiting for {members}', '不接收消息：等待 {members}'],
  ['no messages are taken', '不接收消息'],
  ['no leader: waiting for {members}', '没有主节点：等待 {members}'],
  ['no leader', '没有主节点'],
  ['taken out', '已移出'],
  ['its set is taken out', '所在 Broker 组已移出'],
  [
    'members differ in membersWanted ({each}): give all of them the same',
    '各成员的 membersWanted 不同（{each}）：请设为相同的值',
  ],
  [
    'members subscribe to "{topic}" with {count} different filters ({filters}): each message waits for a member that wants it',
    '成员以 {count} 种不同的过滤条件订阅“{topic}”（{filters}）：每条消息等待过滤条件匹配的成员',
  ],
  // With a name before it: what is wrong with that.
  ['broker set {set}: {why}', 'Broker 组 {set}：{why}'],
];

const patterns = sentences.map(([english, chinese]) => {
  const names: string[] = [];
  const text = english
    .replaceAll(/<([^<>]*)\|([^<>]*)>|[.*+?^$()|[\]\\]/g, (found, one?: string, many?: string) =>
      one === undefined ? `\\${found}` : `(?:${one}|${many ?? ''})`,
    )
    .replaceAll(/\{(\w+)\}/g, (_, name: string) => {
      names.push(name);
      return '(.+?)';
    });
  return { pattern: new RegExp(`^${text}$`, 's'), names, chinese };
});

export function chineseOf(text: string): string {
  for (const { pattern, names, chinese } of patterns) {
    const found = pattern.exec(text);
    if (!found) continue;
    const said = new Map(names.map((name, i) => [name, found[i + 1] ?? '']));
    return chinese.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
      const value = said.get(name) ?? '';
      return name === 'why' ? chineseOf(value) : value;
    });
  }
  return text;
}
